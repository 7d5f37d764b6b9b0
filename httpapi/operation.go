package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/httpapi/token"
)

// operation is one method on one path.
type operation struct {
	id       string // its name in the OpenAPI document, from which clients' methods are named
	method   string
	path     string
	tag      string
	summary  string
	about    string // more, where the summary does not say it all
	status   int    // of success. Defaults to 200
	patience time.Duration
}

// scope is what a token has to be good for.
func (o operation) scope() token.Scope {
	if o.method == http.MethodGet {
		return token.Read
	}
	return token.Write
}

// caller is whose request it is.
type caller struct {
	token     token.Token
	workspace *waybill.Workspace
}

type callerKey struct{}

// inside begins every path within a workspace.
const inside = "/v1/workspaces/{workspace}"

// handle serves an operation: I is what comes in, O what goes out, as huma reads them; do gets a request that is authorized and fits
// its schema.
func handle[I, O any](a *api, o operation, do func(context.Context, caller, *I) (*O, error)) {
	if o.patience == 0 {
		o.patience = patience
	}
	problemSchema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[failed](), true, "")
	description := &huma.Operation{
		OperationID:     o.id,
		Method:          o.method,
		Path:            o.path,
		Tags:            []string{o.tag},
		Summary:         o.summary,
		Description:     o.about,
		DefaultStatus:   o.status,
		Security:        []map[string][]string{{bearer: {}}},
		Middlewares:     huma.Middlewares{a.guard(o)},
		BodyReadTimeout: -1, // guard has read the body
		Responses: map[string]*huma.Response{"default": {
			Description: "It was not done; the error says why.",
			Content:     map[string]*huma.MediaType{jsonType: {Schema: problemSchema}},
		}},
	}
	if strings.HasPrefix(o.path, inside) {
		description.Parameters = append(description.Parameters, &huma.Param{
			Name: "workspace", In: "path", Required: true, Description: "The workspace of the token.", Schema: &huma.Schema{Type: "string"},
		})
	}
	huma.Register(a.huma, *description, func(ctx context.Context, in *I) (*O, error) {
		out, err := do(ctx, ctx.Value(callerKey{}).(caller), in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return out, nil
	})
}

// problem turns an error into what the client gets to see, and tells the operator what the client does not.
func (a *api) problem(ctx context.Context, err error) *problem {
	p, news := problemOf(err)
	if news {
		a.Logger.ErrorContext(ctx, "a request failed", "code", p.Code, "error", err)
	}
	return p
}

// guard lets a request through to its operation when its token is good for that. It then reads the body, and lifts the time limit for
// reading: to net/http a connection that runs into it is a client that has gone, and the work on its request would end.
func (a *api) guard(o operation) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(hc)
		who, err := a.authorize(r, o)
		if err == nil {
			err = readBody(w, r)
		}
		if err != nil {
			fail(w, *a.problem(r.Context(), err))
			return
		}
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Time{}) // a writer that has no deadlines, as in tests, needs none lifted
		_ = control.SetWriteDeadline(time.Now().Add(o.patience + writeGrace))
		ctx, cancel := context.WithTimeout(hc.Context(), o.patience)
		defer cancel()
		next(huma.WithContext(hc, context.WithValue(ctx, callerKey{}, who)))
	}
}

// pathIDs are what every id in a path looks like. Nothing else can exist, so nothing else is looked for.
var pathID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (a *api) authorize(r *http.Request, o operation) (caller, error) {
	plain, err := bearerToken(r.Header)
	if err != nil {
		return caller{}, err
	}
	t, err := a.tokens.Authenticate(r.Context(), plain)
	if err != nil {
		return caller{}, err
	}
	observed(r.Context()).token(t)
	if named := r.PathValue("workspace"); strings.HasPrefix(o.path, inside) && named != t.Workspace {
		return caller{}, forbidden("this token is good for another workspace; use one of the workspace that the path names")
	}
	if !t.Scope.Allows(o.scope()) {
		return caller{}, forbidden("this token is for reading only; `waybill token create --scope write` makes one that can do this")
	}
	for _, part := range strings.Split(o.path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			if id := r.PathValue(name); !pathID.MatchString(id) {
				return caller{}, &domain.NotFoundError{Kind: name, ID: id}
			}
		}
	}
	return caller{t, a.Engine.Workspace(t.Workspace)}, nil
}

func bearerToken(header http.Header) (token.Plain, error) {
	given := header.Values("Authorization")
	if len(given) != 1 {
		return "", unauthorized("send one header Authorization: Bearer TOKEN; `waybill token create` makes a token")
	}
	scheme, credentials, _ := strings.Cut(given[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", unauthorized("the header has to be Authorization: Bearer TOKEN; `waybill token create` makes a token")
	}
	return token.Plain(strings.TrimSpace(credentials)), nil
}

func forbidden(message string) *problem {
	return &problem{status: http.StatusForbidden, Code: "forbidden", Message: message}
}

// readBody puts a body that was read completely in the place of the one that comes from the network.
func readBody(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return &problem{status: http.StatusRequestTimeout, Code: "timeout", Message: "the body took too long to arrive"}
	}
	if errors.As(err, new(*http.MaxBytesError)) {
		return err
	}
	if err != nil {
		return &problem{status: http.StatusBadRequest, Code: "malformed_body", Message: "the body ended before it was complete"}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// nothingHere answers what no operation is for: with 405 where another method would do, else with 404.
func nothingHere(mux *http.ServeMux) http.HandlerFunc {
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete}
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range methods {
			probe := r.Clone(r.Context())
			probe.Method = method
			if _, pattern := mux.Handler(probe); pattern != "/" && pattern != "" {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) == 0 || slices.Contains(allowed, r.Method) {
			fail(w, problem{status: http.StatusNotFound, Code: "not_found", Message: "there is nothing at this path; GET /openapi.json lists what there is"})
			return
		}
		fail(w, problem{status: http.StatusMethodNotAllowed, header: http.Header{"Allow": {strings.Join(allowed, ", ")}},
			Code: "method_not_allowed", Message: "this method is not possible here, but " + strings.Join(allowed, ", ")})
	}
}
