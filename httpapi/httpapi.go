// Package httpapi serves Waybill over HTTP: webhooks and what became of their deliveries, orders and the log. docs/http-api.md tells how
// it is used, and GET /openapi.json describes it for programs.
//
// Every answer but those of /metrics, /openapi.json and Chord's own call is an envelope: {"data":…,"error":null}, or
// {"data":null,"error":{"code","message","details"}} with the right status. Whoever calls shows a token of package token, which is good
// for one workspace; what other workspaces have is out of sight.
package httpapi

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/eventstore"
	"github.com/waybill-dev/waybill/httpapi/token"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// Config configures the handler that [New] makes. Engine, DB, Ready and Metrics are needed.
type Config struct {
	Engine *waybill.Engine
	DB     *sql.DB // the engine's

	// Ready returns nil while requests can be served, for /readyz.
	Ready func(context.Context) error
	// Metrics is what /metrics shows.
	Metrics prometheus.Gatherer

	// MasterKey is the engine's. It seals the answers that are kept for idempotency keys.
	// Defaults to none: then webhooks cannot be made, so there is nothing to keep.
	MasterKey []byte

	// Now is the clock. Defaults to time.Now.
	Now func() time.Time

	// Logger gets a line for each request: method, route, status, duration and workspace, never a token or a body.
	// Defaults to discarding everything.
	Logger *slog.Logger
}

// Timeouts. Requests that take longer by nature say so with their operation.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second // until the last byte of the body
	idleTimeout       = 2 * time.Minute
	patience          = 30 * time.Second // for the work on a request, from its last byte on
	writeGrace        = 10 * time.Second // for the answer, after that
)

const (
	maxHeaderBytes = 32 << 10
	maxBodyBytes   = 1 << 20
)

// api is what the handlers share.
type api struct {
	Config
	huma   huma.API
	tokens *token.Store
	events *eventstore.Store
	sealer *webhook.Sealer // nil without a master key
}

// New returns the handler for everything. It returns an error for a configuration that cannot work.
func New(c Config) (http.Handler, error) {
	if c.Engine == nil || c.DB == nil || c.Ready == nil || c.Metrics == nil {
		return nil, errors.New("httpapi: Engine, DB, Ready and Metrics are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	a := &api{Config: c, tokens: token.NewStore(c.DB, c.Now), events: c.Engine.Log()}
	if len(c.MasterKey) > 0 {
		var err error
		if a.sealer, err = webhook.NewSealer(c.MasterKey); err != nil {
			return nil, err
		}
	}
	mux := http.NewServeMux()
	a.huma = humago.New(mux, describeAPI())
	a.webhookOperations()
	a.deliveryOperations()
	a.chordOperations()
	a.eventTypeOperations()
	a.orderOperations()
	a.logOperations()
	a.viewOperations()
	if err := serveDescription(mux, a.huma.OpenAPI()); err != nil {
		return nil, err
	}
	a.healthOperations(mux)
	mux.HandleFunc("/", nothingHere(mux))
	return a.observe(secured(mux)), nil
}

// Server returns a server for a handler, with limits for clients that are slow, or greedy. Its Addr is left open.
func Server(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      readTimeout + patience + writeGrace,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// describeAPI is the part of the OpenAPI document that does not follow from the operations.
func describeAPI() huma.Config {
	format := huma.Format{Marshal: encode, Unmarshal: decode}
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "Waybill",
				Version: "1",
				Description: "Webhooks, their deliveries, orders, lists of them, and the log. Every answer is {\"data\":…,\"error\":null} or " +
					"{\"data\":null,\"error\":{\"code\",\"message\",\"details\"}}. Times are UTC as in RFC 3339; money is in minor units of its currency.",
			},
			Tags: []*huma.Tag{
				{Name: "webhooks", Description: "Subscriptions, and the events that can be subscribed to."},
				{Name: "orders", Description: "Orders as they are and as they were, and the log behind them."},
				{Name: "views", Description: "Lists and sums that follow the log."},
				{Name: "compatibility", Description: "Calls of other platforms, as their own documentation shows them."},
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName),
				SecuritySchemes: map[string]*huma.SecurityScheme{bearer: {
					Type: "http", Scheme: "bearer", Description: "A token that `waybill token create` made. It is good for one workspace.",
				}},
			},
			Security: []map[string][]string{{bearer: {}}},
		},
		// An error of huma's own says that it is application/problem+json, for which it looks up "json".
		Formats:                      map[string]huma.Format{jsonType: format, "json": format},
		DefaultFormat:                jsonType,
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{inEnvelope},
	}
}

const (
	bearer   = "bearer"
	jsonType = "application/json"
)

// serveDescription renders the OpenAPI document once for all.
func serveDescription(mux *http.ServeMux, document *huma.OpenAPI) error {
	openAnswers(document)
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", jsonType)
		_, _ = w.Write(text) // fails only where the client has gone
	})
	return nil
}

// openAnswers leaves room in the schemas of answers: they may get new fields, and clients must not choke on those. Requests stay closed,
// so that a misspelt field is noticed. It also drops the schemas of huma's own errors, which nobody gets to see.
func openAnswers(document *huma.OpenAPI) {
	schemas := document.Components.Schemas
	delete(schemas.Map(), "ErrorModel")
	delete(schemas.Map(), "ErrorDetail")
	asked := map[string]bool{}
	var note func(*huma.Schema)
	note = func(s *huma.Schema) {
		if s == nil || asked[s.Ref] {
			return
		}
		if s.Ref != "" {
			asked[s.Ref] = true
			s = schemas.SchemaFromRef(s.Ref)
		}
		note(s.Items)
		for _, property := range s.Properties {
			note(property)
		}
	}
	for _, path := range document.Paths {
		for _, o := range []*huma.Operation{path.Post, path.Patch} {
			if o != nil && o.RequestBody != nil {
				note(o.RequestBody.Content[jsonType].Schema)
			}
		}
	}
	for name, schema := range schemas.Map() {
		if closed, ok := schema.AdditionalProperties.(bool); ok && !closed && !asked["#/components/schemas/"+name] {
			schema.AdditionalProperties = nil
		}
	}
}
