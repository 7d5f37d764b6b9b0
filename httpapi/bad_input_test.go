package httpapi_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill/httpapi/token"
)

// Whatever is wrong with a request, the answer has the right status, names the field, and says what would be right.
func TestBadInput(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	reader := k.newToken("acme", token.Read)
	other := k.newToken("other", token.Write)
	k.order("ord_1")
	k.orderIn("other", "ord_2")
	taken := k.webhook("taken", "https://shop.example.com/")
	theirs := data[made](t, k.do(request{method: "POST", path: "/v1/workspaces/other/webhooks",
		body: `{"name":"theirs","url":"https://shop.example.com/"}`, header: map[string]string{"Authorization": "Bearer " + other}}), 201)

	const hooks = "/v1/workspaces/acme/webhooks"
	const good = `"name":"n","url":"https://shop.example.com/"`
	post := func(body string) request { return request{method: "POST", path: hooks, body: body} }
	get := func(path string) request { return request{method: "GET", path: path} }
	with := func(r request, name, value string) request {
		r.header = map[string]string{name: value}
		return r
	}
	for name, c := range map[string]struct {
		request request
		status  int
		code    string
		field   string // of the only detail; empty where there is none
		message string // a part of what is said
	}{
		// The body as a whole.
		"malformed":           {post(`{"name":`), 400, "malformed_body", "", "unexpected end of JSON"},
		"not JSON":            {post(`name=x`), 400, "malformed_body", "", "invalid character"},
		"two documents":       {post(`{` + good + `}{}`), 400, "malformed_body", "", "invalid character"},
		"no body":             {post(``), 400, "malformed_body", "", "JSON document"},
		"a list":              {post(`[]`), 422, "invalid_request", "body", "has to be an object"},
		"null":                {post(`null`), 422, "invalid_request", "body", "has to be an object"},
		"twice the same name": {post(`{` + good + `,"name":"m"}`), 400, "malformed_body", "", `"name" comes twice`},
		"twice, escaped":      {post(`{` + good + `,"n\u0061me":"m"}`), 400, "malformed_body", "", `"name" comes twice`},
		"another encoding":    {post("{\"name\":\"caf\xe9\",\"url\":\"https://shop.example.com/\"}"), 400, "malformed_body", "", "UTF-8"},
		"a zero byte":         {post(`{"name":"a\u0000b","url":"https://shop.example.com/"}`), 400, "malformed_body", "", "U+0000"},
		"content type":        {with(post(`{`+good+`}`), "Content-Type", "text/plain"), 415, "unsupported_media_type", "", "Content-Type: application/json"},
		"form":                {with(post(`name=x`), "Content-Type", "application/x-www-form-urlencoded"), 415, "unsupported_media_type", "", "Content-Type: application/json"},
		"too large":           {post(`{"name":"` + strings.Repeat("x", 1<<20) + `"}`), 413, "body_too_large", "", "1048576 bytes"},
		"nested too deep":     {post(strings.Repeat("[", 20_000)), 400, "malformed_body", "", "depth"},

		// Its fields.
		"missing name":      {post(`{"url":"https://shop.example.com/"}`), 422, "invalid_request", "name", "is missing"},
		"empty name":        {post(`{"name":"","url":"https://shop.example.com/"}`), 422, "invalid_request", "name", "must not be empty"},
		"long name":         {post(`{"name":"` + strings.Repeat("x", 101) + `","url":"https://shop.example.com/"}`), 422, "invalid_request", "name", "at most 100 characters"},
		"name of a number":  {post(`{"name":7,"url":"https://shop.example.com/"}`), 422, "invalid_request", "name", "has to be a string"},
		"name taken":        {post(`{"name":"taken","url":"https://shop.example.com/"}`), 409, "name_taken", "name", "another name"},
		"unprintable name":  {post(`{"name":"a\nb","url":"https://shop.example.com/"}`), 422, "invalid_request", "name", "printable"},
		"missing url":       {post(`{"name":"n"}`), 422, "invalid_request", "url", "is missing"},
		"not a URL":         {post(`{"name":"n","url":"shop"}`), 422, "invalid_request", "url", "https://"},
		"another scheme":    {post(`{"name":"n","url":"gopher://shop.example.com/"}`), 422, "invalid_request", "url", "https://"},
		"password":          {post(`{"name":"n","url":"https://u:hunter2@shop.example.com/"}`), 422, "invalid_request", "url", "password"},
		"long url":          {post(`{"name":"n","url":"https://shop.example.com/` + strings.Repeat("x", 2048) + `"}`), 422, "invalid_request", "url", "at most 2048"},
		"unknown field":     {post(`{` + good + `,"colour":"red"}`), 422, "invalid_request", "colour", "not a field"},
		"field in capitals": {post(`{"Name":"n","url":"https://shop.example.com/"}`), 422, "invalid_request", "Name", "not a field"},
		"unknown event":     {post(`{` + good + `,"events":["order.eaten"]}`), 422, "invalid_request", "events", `"order.eaten"`},
		"event of a number": {post(`{` + good + `,"events":["order.placed",7]}`), 422, "invalid_request", "events[1]", "has to be a string"},
		"events as text":    {post(`{` + good + `,"events":"order.placed"}`), 422, "invalid_request", "events", "has to be a list"},
		"many events":       {post(`{` + good + `,"events":["x"` + strings.Repeat(`,"x"`, 200) + `]}`), 422, "invalid_request", "events", "at most 200"},
		"no events, UP42":   {post(`{` + good + `,"profile":"up42","events":[]}`), 422, "invalid_request", "events", "at least one event"},
		"unknown profile":   {post(`{` + good + `,"profile":"up43"}`), 422, "invalid_request", "profile", "chord"},
		"secret":            {post(`{` + good + `,"secret":"hunter2"}`), 422, "invalid_request", "secret", "whsec_"},
		"active as text":    {post(`{` + good + `,"active":"yes"}`), 422, "invalid_request", "active", "true or false"},
		"idempotency key":   {with(post(`{`+good+`}`), "Idempotency-Key", "a b"), 422, "invalid_request", "Idempotency-Key", "printable ASCII"},

		// Parameters.
		"limit 0":           {get(hooks + "?limit=0"), 422, "invalid_request", "limit", "at least 1"},
		"limit 1000":        {get(hooks + "?limit=1000"), 422, "invalid_request", "limit", "at most 200"},
		"limit x":           {get(hooks + "?limit=x"), 422, "invalid_request", "limit", "whole number"},
		"unknown parameter": {get(hooks + "?page=2"), 422, "invalid_request", "page", "not a parameter"},
		"time":              {get("/v1/workspaces/acme/orders/ord_1?asOf=yesterday"), 422, "invalid_request", "asOf", "2026-07-01T15:04:05Z"},
		"version 0":         {get("/v1/workspaces/acme/orders/ord_1?version=0"), 422, "invalid_request", "version", "at least 1"},
		"time and version":  {get("/v1/workspaces/acme/orders/ord_1?version=1&asOf=2026-07-01T15:04:05Z"), 422, "invalid_request", "asOf", "version"},
		"diff backwards":    {get("/v1/workspaces/acme/orders/ord_1/diff?from=2&to=1"), 422, "invalid_request", "from", "at most to"},
		"diff beyond":       {get("/v1/workspaces/acme/orders/ord_1/diff?from=99"), 422, "invalid_request", "from", "present version"},
		"event type":        {get("/v1/workspaces/acme/events?type=%00"), 422, "invalid_request", "type", "pattern"},
		"after nothing":     {get("/v1/workspaces/acme/events?after=019a0000-0000-7000-8000-000000000001"), 422, "invalid_request", "after", "this workspace"},
		"after no uuid":     {get("/v1/workspaces/acme/events?after=x"), 422, "invalid_request", "after", "UUID"},
		"profile":           {get("/v1/webhooks/events?profile=x"), 422, "invalid_request", "profile", "native"},

		// Who asks.
		"no token":                  {with(get(hooks), "Authorization", ""), 401, "unauthorized", "", "Authorization: Bearer"},
		"another scheme of token":   {with(get(hooks), "Authorization", "Basic "+k.token), 401, "unauthorized", "", "Authorization: Bearer"},
		"made-up token":             {with(get(hooks), "Authorization", "Bearer wbt_x"), 401, "unauthorized", "", "not valid"},
		"almost the token":          {with(get(hooks), "Authorization", "Bearer "+k.token[:len(k.token)-1]), 401, "unauthorized", "", "not valid"},
		"no token, broken body":     {with(post(`{`), "Authorization", ""), 401, "unauthorized", "", "Authorization: Bearer"},
		"read token writes":         {with(post(`{`+good+`}`), "Authorization", "Bearer "+reader), 403, "forbidden", "", "--scope write"},
		"read token deletes":        {with(request{method: "DELETE", path: hooks + "/" + taken.ID}, "Authorization", "Bearer "+reader), 403, "forbidden", "", "--scope write"},
		"read token, Chord":         {with(request{method: "POST", path: "/api/webhook/endpoints", body: `{}`}, "Authorization", "Bearer "+reader), 403, "forbidden", "", "--scope write"},
		"another workspace":         {get("/v1/workspaces/other/webhooks"), 403, "forbidden", "", "another workspace"},
		"a workspace that is none":  {get("/v1/workspaces/nobody/webhooks"), 403, "forbidden", "", "another workspace"},
		"another's webhook there":   {get("/v1/workspaces/other/webhooks/" + theirs.ID), 403, "forbidden", "", "another workspace"},
		"another's webhook here":    {get(hooks + "/" + theirs.ID), 404, "not_found", "", "no webhook"},
		"delete another's webhook":  {request{method: "DELETE", path: hooks + "/" + theirs.ID}, 404, "not_found", "", "no webhook"},
		"another's order here":      {get("/v1/workspaces/acme/orders/ord_2"), 404, "not_found", "", "no order"},
		"another's order's events":  {get("/v1/workspaces/acme/orders/ord_2/events"), 404, "not_found", "", "no order"},
		"another's order's changes": {get("/v1/workspaces/acme/orders/ord_2/diff"), 404, "not_found", "", "no order"},
		"no such order":             {get("/v1/workspaces/acme/orders/ord_3"), 404, "not_found", "", "no order"},
		"no such version":           {get("/v1/workspaces/acme/orders/ord_1?version=99"), 404, "not_found", "", "no order"},
		"before it was":             {get("/v1/workspaces/acme/orders/ord_1?asOf=2020-01-01T00:00:00Z"), 404, "not_found", "", "no order"},
		"an id that cannot be":      {get(hooks + "/" + strings.Repeat("x", 65)), 404, "not_found", "", "no webhook"},
		"a zero byte in an id":      {get(hooks + "/wh%00"), 404, "not_found", "", "no webhook"},
		"a slash in an id":          {get("/v1/workspaces/acme/orders/a%2Fb"), 404, "not_found", "", "no order"},
	} {
		t.Run(name, func(t *testing.T) {
			p := problemOf(t, k.do(c.request), c.status)
			if p.Code != c.code || !strings.Contains(p.Message, c.message) {
				t.Errorf("got %+v, want %s: …%s…", p, c.code, c.message)
			}
			if c.field == "" && len(p.Details) > 0 || c.field != "" && (len(p.Details) != 1 || p.Details[0].Field != c.field) {
				t.Errorf("details %+v, want one of %q", p.Details, c.field)
			}
			if strings.Contains(fmt.Sprint(p), "hunter2") {
				t.Errorf("it repeats a secret: %+v", p)
			}
		})
	}
	if r := k.get(hooks); strings.Count(r.body, `"wh_`) != 1 {
		t.Errorf("something was made: %s", r.body)
	}
	if strings.Contains(k.log.String(), "level=ERROR") || strings.Contains(k.log.String(), "status=500") {
		t.Errorf("clients' mistakes are no errors of the server: %s", k.log)
	}
}

// Everything that is wrong is said at once.
func TestEveryFieldIsNamed(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for body, want := range map[string]string{
		`{"name":7,"events":"x","colour":"red"}`:                                           "colour events name url",
		`{"name":"n","url":"ftp://x/","events":["order.eaten"],"secret":"short"}`:          "events secret url",
		`{"name":"n","url":"https://shop.example.com/","active":"no","ordered":"perhaps"}`: "active ordered",
	} {
		p := problemOf(t, k.post("/v1/workspaces/acme/webhooks", body), 422)
		var fields []string
		for _, d := range p.Details {
			fields = append(fields, d.Field)
		}
		slices.Sort(fields)
		if got := strings.Join(fields, " "); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

// A client that sends its headers and then keeps the server waiting holds nobody up but itself, and a connection without a token does
// not even get its body read.
func TestBodyOfAStranger(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	connection, err := net.Dial("tcp", strings.TrimPrefix(k.server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprintf(connection, "POST /v1/workspaces/acme/webhooks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{")
	_ = connection.SetReadDeadline(time.Now().Add(30 * time.Second))
	status := make([]byte, len("HTTP/1.1 401"))
	if _, err := connection.Read(status); err != nil || string(status) != "HTTP/1.1 401" {
		t.Errorf("%q, %v", status, err)
	}
	if s := k.server.Config; s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("the server has no limits: %+v", s)
	}
}

func TestHeadersAreLimited(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.do(request{method: "GET", path: "/healthz", header: map[string]string{"X-Long": strings.Repeat("x", 64<<10)}})
	if r.status != 431 {
		t.Errorf("status %d", r.status)
	}
}
