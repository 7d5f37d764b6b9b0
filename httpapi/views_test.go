package httpapi_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/httpapi"
	"github.com/waybill-dev/waybill/httpapi/token"
)

const acme = "/v1/workspaces/acme"

// viewPage is a page of a view's rows.
type viewPage[T any] struct {
	Data       []T     `json:"data"`
	NextCursor *string `json:"nextCursor"`
	LagSeconds float64 `json:"lagSeconds"`
}

func viewed[T any](k *kit, path string) (p viewPage[T]) {
	k.t.Helper()
	decode(k.t, k.get(acme+path), 200, &p)
	return p
}

// one is the only row of a page.
func one[T any](t *testing.T, p viewPage[T]) T {
	t.Helper()
	if len(p.Data) != 1 {
		t.Fatalf("want one row: %+v", p.Data)
	}
	return p.Data[0]
}

// shop fills workspace acme: ord_1 to ord_3, a day apart from 1 July on, are placed, drafted and shipped; and workspace other has one, too.
func shop(t *testing.T) (k *kit) {
	now := time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	k = newKit(t, func(e *waybill.Config, c *httpapi.Config) { e.Now, c.Now = clock, clock })
	day := func() { now = now.AddDate(0, 0, 1) }
	day()
	k.order("ord_1") // 1063 USD
	day()
	k.execute(order.Create{OrderID: "ord_2", Number: "R2", Currency: "EUR", Customer: &order.Customer{ID: "cus_2", Email: "Second@example.com"}, Email: "Second@example.com",
		LineItems: []order.LineItemInput{{ID: "li_1", Name: "Globe", SKU: "globe-1", Quantity: 2, UnitPrice: 2500}}})
	day()
	k.order("ord_3")
	k.toPicking("ord_3")
	k.orderIn("other", "hidden_order")
	return k
}

func TestListOrders(t *testing.T) {
	t.Parallel()
	k := shop(t)
	k.follow()
	k.seen()
	for query, want := range map[string]string{
		"":                                  "ord_3 ord_2 ord_1",
		"number=R2":                         "ord_2",
		"number=R3":                         "",
		"email=second@EXAMPLE.com":          "ord_2",
		"customer=cus_2":                    "ord_2",
		"status=placed":                     "ord_1",
		"status=placed&status=draft":        "ord_2 ord_1",
		"paymentStatus=paid":                "ord_3",
		"fulfillmentStatus=in_progress":     "ord_3",
		"createdSince=2026-07-02T12:00:00Z": "ord_3 ord_2",
		"createdUntil=2026-07-02T12:00:00Z": "ord_1",
		"createdSince=2026-07-02T14:00:00%2B02:00&createdUntil=2026-07-03T00:00:00Z": "ord_2",
		"placedSince=2026-07-02T12:00:00Z":                                           "ord_3",
		"placedUntil=2026-07-02T12:00:00Z":                                           "ord_1",
		"currency=EUR":                                                               "ord_2",
		"minTotal=1064":                                                              "ord_2",
		"maxTotal=1063":                                                              "ord_3 ord_1",
		"maxTotal=0":                                                                 "",
		"minTotal=0":                                                                 "ord_3 ord_2 ord_1",
		"minTotal=1063&maxTotal=1063&status=placed":                                  "ord_1",
	} {
		p := viewed[httpapi.OrderSummary](k, "/orders?"+query)
		var ids []string
		for _, o := range p.Data {
			ids = append(ids, o.ID)
		}
		if got := strings.Join(ids, " "); got != want || p.NextCursor != nil || p.LagSeconds != 0 {
			t.Errorf("%s: %q, %v, %v; want %q", query, got, p.NextCursor, p.LagSeconds, want)
		}
	}
	o := one(t, viewed[httpapi.OrderSummary](k, "/orders?number=R2"))
	if o.Status != "draft" || o.Total != 5000 || o.Currency != "EUR" || o.CustomerID != "cus_2" || o.Email != "Second@example.com" || o.ItemCount != 2 ||
		!o.CreatedAt.Equal(time.Date(2026, 7, 2, 12, 0, 0, 0, time.UTC)) || !o.PlacedAt.IsZero() {
		t.Errorf("%+v", o)
	}
	if r := k.get(acme + "/orders?number=R2"); strings.Contains(r.body, "placedAt") {
		t.Errorf("it was never placed: %s", r.body)
	}
}

// Page by page, without the rows of others; and what one list gave is good for no other.
func TestPagesOfViews(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for i := range 7 {
		k.order(fmt.Sprintf("ord_%d", i))
		k.orderIn("other", fmt.Sprintf("theirs_%d", i))
	}
	k.follow()
	k.seen()
	const path = "/orders?status=placed&status=draft&createdSince=2020-01-01T00:00:00Z&limit=3"
	var seen []string
	cursor := ""
	for pages := 0; ; pages++ {
		p := viewed[httpapi.OrderSummary](k, path+"&cursor="+cursor)
		for _, o := range p.Data {
			seen = append(seen, o.ID)
		}
		if p.NextCursor == nil {
			break
		}
		if cursor = *p.NextCursor; pages > 3 {
			t.Fatal("it does not end")
		}
	}
	if got := strings.Join(seen, " "); got != "ord_6 ord_5 ord_4 ord_3 ord_2 ord_1 ord_0" {
		t.Errorf("pages show %s", got)
	}
	other := k.newToken("other", token.Read)
	for what, r := range map[string]response{
		"other filters":       k.get(acme + "/orders?status=placed&limit=3&cursor=" + cursor),
		"another list":        k.get(acme + "/shipments?cursor=" + cursor),
		"another workspace":   k.as(other, "/v1/workspaces/other"+path+"&cursor="+cursor),
		"nobody":              k.get(acme + path + "&cursor=AAAA"),
		"someone altering it": k.get(acme + path + "&cursor=" + cursor + "A"),
	} {
		if p := problemOf(t, r, 422); len(p.Details) != 1 || p.Details[0].Field != "cursor" {
			t.Errorf("a cursor by %s: %+v", what, p)
		}
	}
	if r := k.as(other, "/v1/workspaces/other"+path+"0"); r.status != 200 || strings.Contains(r.body, "ord_") || strings.Count(r.body, "theirs_") != 7 {
		t.Errorf("another workspace sees %s", r.body)
	}
	if r := k.as(other, acme+path); r.status != 403 {
		t.Errorf("another workspace's orders: %d", r.status)
	}
}

func TestListShipments(t *testing.T) {
	t.Parallel()
	k := shop(t)
	k.follow()
	k.seen()
	for query, want := range map[string]int{
		"": 1, "order=ord_3": 1, "order=ord_1": 0, "trackingNumber=1Z999": 1, "trackingNumber=1Z": 0, "carrier=UPS": 1, "carrier=DHL": 0,
		"status=picking": 1, "status=shipped&status=picking": 1, "status=shipped": 0, "deliveryStatus=delivered": 0,
		"createdSince=2026-07-03T00:00:00Z": 1, "createdUntil=2026-07-03T00:00:00Z": 0,
	} {
		if p := viewed[httpapi.ShipmentSummary](k, "/shipments?"+query); len(p.Data) != want || p.NextCursor != nil {
			t.Errorf("%s: %+v", query, p)
		}
	}
	if s := one(t, viewed[httpapi.ShipmentSummary](k, "/shipments")); s.OrderID != "ord_3" || s.ID != "shp_1" || s.Status != "picking" || s.Carrier != "UPS" ||
		len(s.TrackingNumbers) != 1 || s.Parcels != 1 {
		t.Errorf("%+v", s)
	}
}

func TestDays(t *testing.T) {
	t.Parallel()
	k := shop(t) // it is noon of 3 July
	k.follow()
	k.seen()
	for query, want := range map[string]string{
		"":                              "2026-07-01 1 1063 0, 2026-07-03 1 1063 1063",
		"from=2026-07-02":               "2026-07-03 1 1063 1063",
		"to=2026-07-02":                 "2026-07-01 1 1063 0",
		"from=2026-07-03&to=2026-07-03": "2026-07-03 1 1063 1063",
		"currency=EUR":                  "",
	} {
		var days []string
		for _, d := range viewed[httpapi.DailySums](k, "/daily?"+query).Data {
			days = append(days, fmt.Sprint(d.Day, " ", d.Placed.Count, d.Placed.Amount, d.Paid.Amount))
		}
		if got := strings.Join(days, ", "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	d := viewed[httpapi.DailyDurations](k, "/lifecycle?from=2026-07-01&to=2026-07-03").Data
	if len(d) != 2 || d[0].Day != "2026-07-01" || d[0].Placed != 1 || d[0].Paid.Orders != 0 || d[1].Paid.Orders != 1 {
		t.Errorf("%+v", d)
	}
	if d := viewed[httpapi.DailyDurations](k, "/lifecycle").Data; len(d) != 2 {
		t.Errorf("the last 30 days: %+v", d)
	}
}

// A view that is not there says so, one that is behind says how far, and a stream that it cannot follow is counted where it belongs.
func TestViewsSayHowTheyAre(t *testing.T) {
	t.Parallel()
	k := shop(t)
	views := func() map[string]httpapi.View {
		t.Helper()
		all := map[string]httpapi.View{}
		for _, v := range data[[]httpapi.View](t, k.get(acme+"/projections"), 200) {
			all[v.Name] = v
		}
		return all
	}
	if all := views(); len(all) != 4 || all["orders"].State != "never_built" || all["orders"].Rebuild != nil {
		t.Errorf("%+v", all)
	}
	for _, path := range []string{"/orders", "/shipments", "/daily", "/lifecycle"} {
		r := k.get(acme + path)
		if p := problemOf(t, r, 503); p.Code != "view_not_built" || !strings.Contains(p.Message, "waybill serve") || r.header.Get("Retry-After") == "" {
			t.Errorf("%s of a view that was never built: %+v", path, p)
		}
	}
	if _, err := k.db.Exec(`INSERT INTO projection_generations (projection, generation, state, transaction_id, position, events) VALUES ('orders', 1, 'building', 0, 0, 70)`); err != nil {
		t.Fatal(err)
	}
	if p := problemOf(t, k.get(acme+"/orders"), 503); p.Code != "view_not_built" || !strings.Contains(p.Message, "being built") {
		t.Errorf("a view that is being built: %+v", p)
	}
	if v := views()["orders"]; v.State != "building" || v.Rebuild == nil || v.Rebuild.Generation != 1 || v.Rebuild.TotalEvents != 70 {
		t.Errorf("it is being built: %+v", v)
	}

	stop := k.follow()
	k.seen()
	if v := views()["orders"]; v.State != "live" || v.Generation != 1 || v.Rebuild != nil || v.Behind != 0 || v.LagSeconds != 0 || v.Mode != "follows" {
		t.Errorf("it was built: %+v", v)
	}
	stop()
	k.execute(order.Submit{OrderID: "ord_2"}) // in the clock of this test, a long time ago
	if p := viewed[httpapi.OrderSummary](k, "/orders?number=R2"); p.LagSeconds <= 0 || one(t, p).Status != "draft" {
		t.Errorf("it is behind: %+v", p)
	}
	if v := views()["orders"]; v.Behind != 1 || v.LagSeconds <= 0 {
		t.Errorf("it is behind: %+v", v)
	}
	if _, err := k.db.Exec(`INSERT INTO projection_parked (projection, generation, workspace, id, version, error)
		VALUES ('orders', 1, 'acme', 'ord_1', 3, 'x'), ('orders', 1, 'other', 'hidden_order', 3, 'x'), ('orders', 1, 'other', 'hidden_2', 3, 'x')`); err != nil {
		t.Fatal(err)
	}
	if v := views()["orders"]; v.ParkedStreams != 1 {
		t.Errorf("of its own streams one is parked: %+v", v)
	}
	if r := k.as(k.newToken("acme", token.Read), acme+"/projections"); r.status != 200 || strings.Contains(r.body, "hidden") {
		t.Errorf("a token for reading: %d %s", r.status, r.body)
	}
}

// Whatever is wrong with the parameters is said by name, and is never the server's failure.
func TestBadParametersOfViews(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, p := range waybill.Projections() {
		if err := k.engine.Rebuild(t.Context(), p.Name(), nil); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string][2]string{
		"/orders?status=plcaed":                                           {"status[0]", "has to be one of"},
		"/orders?status=placed,draft":                                     {"status[0]", "has to be one of"},
		"/orders?status=placed&status=x":                                  {"status[1]", "has to be one of"},
		"/orders?paymentStatus=placed":                                    {"paymentStatus[0]", "has to be one of"},
		"/orders?fulfillmentStatus=x":                                     {"fulfillmentStatus[0]", "has to be one of"},
		"/orders?status=" + strings.Repeat("draft&status=", 40) + "draft": {"status", "at most"},
		"/orders?number=%00":                                              {"number", "U+0000"},
		"/orders?email=%ff":                                               {"email", "UTF-8"},
		"/orders?customer=%00":                                            {"customer", "U+0000"},
		"/orders?number=" + strings.Repeat("x", 256):                      {"number", "at most 255"},
		"/orders?createdSince=yesterday":                                  {"createdSince", "RFC 3339"},
		"/orders?createdUntil=2026-07-01":                                 {"createdUntil", "RFC 3339"},
		"/orders?createdSince=2026-07-02T00:00:00Z&createdUntil=2026-07-02T00:00:00Z": {"createdUntil", "after createdSince"},
		"/orders?placedSince=2026-07-02T00:00:00Z&placedUntil=2026-07-01T00:00:00Z":   {"placedUntil", "after placedSince"},
		"/orders?currency=usd":                  {"currency", "has to be three capital letters, such as USD"},
		"/orders?minTotal=ten":                  {"minTotal", "whole number"},
		"/orders?minTotal=99999999999999999999": {"minTotal", "whole number"},
		"/orders?minTotal=2&maxTotal=1":         {"maxTotal", "at least minTotal"},
		"/orders?limit=0":                       {"limit", "at least 1"},
		"/orders?limit=201":                     {"limit", "at most 200"},
		"/orders?state=placed":                  {"state", "not a parameter"},
		"/shipments?status=placed":              {"status[0]", "has to be one of"},
		"/shipments?deliveryStatus=x":           {"deliveryStatus[0]", "has to be one of"},
		"/shipments?order=%00":                  {"order", "U+0000"},
		"/shipments?carrier=%00":                {"carrier", "U+0000"},
		"/shipments?trackingNumber=%fe":         {"trackingNumber", "UTF-8"},
		"/shipments?createdSince=2026-07-02T00:00:00Z&createdUntil=2026-07-01T00:00:00Z": {"createdUntil", "after createdSince"},
		"/daily?from=yesterday":                    {"from", "a day, such as"},
		"/daily?from=2026-02-30":                   {"from", "a day, such as"},
		"/daily?from=2026-07-02&to=2026-07-01":     {"to", "before from"},
		"/daily?from=2020-07-02&to=2026-07-01":     {"to", "366 days"},
		"/daily?to=0001-01-02":                     {"from", "years 1 to 9999"},
		"/daily?currency=%00":                      {"currency", "has to be three capital letters, such as USD"},
		"/lifecycle?from=2026-01-01&to=2026-07-01": {"to", "92 days"},
		"/lifecycle?currency=USD":                  {"currency", "not a parameter"},
		"/projections?limit=1":                     {"limit", "not a parameter"},
	} {
		p := problemOf(t, k.get(acme+query), 422)
		if len(p.Details) != 1 || p.Details[0].Field != want[0] || !strings.Contains(p.Details[0].Message, want[1]) {
			t.Errorf("%s: %+v, want %q", query, p, want)
		}
	}
	if p := problemOf(t, k.get(acme+"/orders?number=%00&email=%00&status=x"), 422); len(p.Details) == 0 {
		t.Errorf("%+v", p)
	}
	for _, query := range []string{
		"/orders?createdSince=0000-01-01T00:00:00Z&createdUntil=9999-12-31T23:59:59.999999999Z", "/orders?placedUntil=0000-01-01T00:00:00Z",
		"/orders?minTotal=-9223372036854775808&maxTotal=9223372036854775807", "/orders?number=&status=&minTotal=", "/daily?from=9999-12-31&to=9999-12-31",
		"/orders?email=" + url.QueryEscape("%' OR 1=1; --"), "/shipments?carrier=" + url.QueryEscape("{\"},\\"),
		"/shipments?trackingNumber=" + url.QueryEscape(`{"a",NULL}`),
	} {
		if p := viewed[map[string]any](k, query); len(p.Data) != 0 {
			t.Errorf("%s: %+v", query, p)
		}
	}
	if strings.Contains(k.log.String(), "level=ERROR") {
		t.Errorf("clients' mistakes are no errors of the server: %s", k.log)
	}
}
