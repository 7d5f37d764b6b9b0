package httpapi_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/httpapi/internal/client"
)

// A client that was generated from the OpenAPI document gets along with the server.
func TestGeneratedClient(t *testing.T) {
	t.Parallel()
	k, ctx := newKit(t), t.Context()
	k.order("ord_1")
	c, err := client.NewClientWithResponses(k.server.URL, client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+k.token)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}

	types, err := c.ListEventTypesWithResponse(ctx, &client.ListEventTypesParams{})
	if err != nil || types.JSON200 == nil || len(types.JSON200.Data) < 10 {
		t.Fatalf("event types: %v, %v", types, err)
	}
	events := []string{types.JSON200.Data[0].Name}
	key := "client-1"
	created, err := c.CreateWebhookWithResponse(ctx, "acme", &client.CreateWebhookParams{IdempotencyKey: &key},
		client.NewWebhook{Name: "shop", Url: "https://shop.example.com/hooks", Events: &events})
	if err != nil || created.JSON201 == nil {
		t.Fatalf("create: %v, %s", err, created.Body)
	}
	id := created.JSON201.Data.Id
	if got, err := c.GetWebhookWithResponse(ctx, "acme", id); err != nil || got.JSON200 == nil || got.JSON200.Data.Name != "shop" {
		t.Errorf("get: %v, %s", err, got.Body)
	}
	if got, err := c.UpdateWebhookWithResponse(ctx, "acme", id, client.WebhookUpdate{Url: new(receiver(t).URL + "/takes")}); err != nil || got.JSON200 == nil {
		t.Errorf("update: %v, %s", err, got.Body)
	}
	if got, err := c.TestWebhookWithResponse(ctx, "acme", id, client.WebhookTest{}); err != nil || got.JSON200 == nil || got.JSON200.Data.TestsSucceeded != 1 {
		t.Errorf("test: %v, %s", err, got.Body)
	}
	if got, err := c.ListDeliveriesWithResponse(ctx, "acme", id, &client.ListDeliveriesParams{}); err != nil || got.JSON200 == nil || len(got.JSON200.Data) != 1 {
		t.Errorf("deliveries: %v, %s", err, got.Body)
	}
	if got, err := c.ListWebhooksWithResponse(ctx, "acme", &client.ListWebhooksParams{}); err != nil || got.JSON200 == nil ||
		len(got.JSON200.Data) != 1 || got.JSON200.NextCursor != nil {
		t.Errorf("list: %v, %s", err, got.Body)
	}
	if got, err := c.GetOrderWithResponse(ctx, "acme", "ord_1", &client.GetOrderParams{}); err != nil || got.JSON200 == nil ||
		got.JSON200.Data.Order.Status != "placed" {
		t.Errorf("order: %v, %s", err, got.Body)
	}
	for _, p := range waybill.Projections() {
		if err := k.engine.Rebuild(ctx, p.Name(), nil); err != nil {
			t.Fatal(err)
		}
	}
	placed := &client.ListOrdersParams{Status: &[]client.ListOrdersParamsStatus{"placed", "approved"}, MinTotal: new(int64(1063))}
	if got, err := c.ListOrdersWithResponse(ctx, "acme", placed); err != nil || got.JSON200 == nil || len(got.JSON200.Data) != 1 ||
		got.JSON200.Data[0].Status != "placed" || got.JSON200.Data[0].PlacedAt == nil {
		t.Errorf("orders: %v, %s", err, got.Body)
	}
	if got, err := c.ListShipmentsWithResponse(ctx, "acme", &client.ListShipmentsParams{}); err != nil || got.JSON200 == nil || len(got.JSON200.Data) != 0 {
		t.Errorf("shipments: %v, %s", err, got.Body)
	}
	if got, err := c.SumUpDaysWithResponse(ctx, "acme", &client.SumUpDaysParams{}); err != nil || got.JSON200 == nil || len(got.JSON200.Data) != 1 {
		t.Errorf("days: %v, %s", err, got.Body)
	}
	if got, err := c.MeasureDaysWithResponse(ctx, "acme", &client.MeasureDaysParams{}); err != nil || got.JSON200 == nil || len(got.JSON200.Data) != 1 {
		t.Errorf("durations: %v, %s", err, got.Body)
	}
	if got, err := c.ListViewsWithResponse(ctx, "acme"); err != nil || got.JSON200 == nil || len(got.JSON200.Data) != 4 {
		t.Errorf("views: %v, %s", err, got.Body)
	}
	if got, err := c.DeleteWebhookWithResponse(ctx, "acme", id); err != nil || got.StatusCode() != 204 || len(got.Body) != 0 {
		t.Errorf("delete: %v, %s", err, got.Body)
	}
	if got, err := c.GetWebhookWithResponse(ctx, "acme", id); err != nil || got.StatusCode() != 404 || got.JSONDefault == nil ||
		got.JSONDefault.Error.Code != "not_found" {
		t.Errorf("get what is gone: %v, %s", err, got.Body)
	}
}
