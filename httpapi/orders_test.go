package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/httpapi"
	"github.com/waybill-dev/waybill/httpapi/token"
)

// An order now, at a version, and at a time.
func TestOrder(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.order("ord_1")
	const path = "/v1/workspaces/acme/orders/ord_1"
	now := data[httpapi.OrderVersion](t, k.get(path), 200)
	if now.Order.Status != order.StatusPlaced || now.Order.Total != 1063 || now.Version < 4 {
		t.Errorf("now: %+v", now)
	}
	first := data[httpapi.OrderVersion](t, k.get(path+"?version=1"), 200)
	if first.Order.Status != order.StatusDraft || first.Version != 1 {
		t.Errorf("at version 1: %+v", first)
	}
	at := now.Order.CreatedAt.Format("2006-01-02T15:04:05.999999Z07:00")
	if then := data[httpapi.OrderVersion](t, k.get(path+"?asOf="+at), 200); then.Version != 1 {
		t.Errorf("as of %s: %+v", at, then)
	}
}

func TestOrderEvents(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.order("ord_1")
	k.order("ord_2")
	var seen []string
	version := 0
	for cursor := ""; ; {
		var p struct {
			Data       []httpapi.Event `json:"data"`
			NextCursor *string         `json:"nextCursor"`
		}
		decode(t, k.get("/v1/workspaces/acme/orders/ord_1/events?limit=2&cursor="+cursor), 200, &p)
		for _, e := range p.Data {
			if version++; e.Version != version || e.Stream != "order/ord_1" || len(e.Hash) != 64 || !strings.Contains(string(e.Metadata), "checkout") {
				t.Errorf("event %+v", e)
			}
			seen = append(seen, e.Type)
		}
		if p.NextCursor == nil {
			break
		}
		cursor = *p.NextCursor
		if r := k.get("/v1/workspaces/acme/orders/ord_2/events?cursor=" + cursor); r.status != 422 {
			t.Errorf("a cursor of another order: %d", r.status)
		}
	}
	if got := strings.Join(seen, " "); got != "order.created order.submitted payment.authorized order.authorized order.placed" {
		t.Errorf("events: %s", got)
	}
}

func TestOrderDiff(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.order("ord_1")
	const path = "/v1/workspaces/acme/orders/ord_1/diff"
	d := data[httpapi.OrderDiff](t, k.get(path+"?from=1"), 200)
	fields := map[string]string{}
	for _, f := range d.Fields {
		fields[f.Field] = string(f.From) + " → " + string(f.To)
	}
	for field, want := range map[string]string{
		"status": `"draft" → "placed"`, "authorizedTotal": "0 → 1063", "paymentStatus": `"unpaid" → "authorized"`,
	} {
		if fields[field] != want {
			t.Errorf("%s: %s, want %s", field, fields[field], want)
		}
	}
	if payment := fields["payments[pay_1]"]; !strings.HasPrefix(payment, " → {") || !strings.Contains(payment, `"id":"pay_1"`) {
		t.Errorf("payments[pay_1]: %s", payment)
	}
	if _, same := fields["currency"]; same || d.From != 1 || d.To != 5 || len(d.Statuses) != 2 {
		t.Errorf("%+v", d)
	}
	if d := data[httpapi.OrderDiff](t, k.get(path+"?from=5&to=5"), 200); len(d.Fields) != 0 || len(d.Statuses) != 0 {
		t.Errorf("nothing changed, but %+v", d)
	}
	if got := k.get(path + "?from=6"); got.status != 422 || !strings.Contains(got.body, "has to be at most the present version, 5") {
		t.Errorf("from a version that is yet to come: %d %s", got.status, got.body)
	}
	if d := data[httpapi.OrderDiff](t, k.get(path), 200); d.From != 0 || d.To != 5 || len(d.Fields) < 10 {
		t.Errorf("from nothing: %+v", d)
	}
}

// The workspace's log, page by page, without what others have in between.
func TestWorkspaceLog(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for i := range 6 {
		k.order(fmt.Sprintf("ord_%d", i))
		k.orderIn("other", fmt.Sprintf("theirs_%d", i))
	}
	k.settle()
	read := func(query string) (events []httpapi.Event) {
		for cursor := ""; ; {
			var p struct {
				Data       []httpapi.Event `json:"data"`
				NextCursor *string         `json:"nextCursor"`
			}
			decode(t, k.get("/v1/workspaces/acme/events?limit=7&cursor="+cursor+query), 200, &p)
			if events = append(events, p.Data...); p.NextCursor == nil {
				return events
			}
			if len(p.Data) != 7 {
				t.Errorf("a page of %d", len(p.Data))
			}
			cursor = *p.NextCursor
		}
	}
	all := read("")
	if len(all) != 30 {
		t.Fatalf("%d events", len(all))
	}
	for i, e := range all {
		if want := fmt.Sprintf("order/ord_%d", i/5); e.Stream != want || e.Version != i%5+1 {
			t.Errorf("event %d is %s of %s", i, e.Type, e.Stream)
		}
	}
	if placed := read("&type=order.placed"); len(placed) != 6 {
		t.Errorf("%d orders were placed", len(placed))
	}
	if rest := read("&after=" + all[12].ID.String()); len(rest) != 17 || rest[0].ID != all[13].ID {
		t.Errorf("%d events behind the 13th", len(rest))
	}
	if last := read("&after=" + all[29].ID.String()); len(last) != 0 {
		t.Errorf("%d events behind the last", len(last))
	}
	if r := k.as(k.newToken("third", token.Read), "/v1/workspaces/third/events"); r.body != `{"data":[],"error":null,"nextCursor":null}` {
		t.Errorf("a workspace without events: %s", r.body)
	}
}
