package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/projections/shipments"
)

func (p *program) shipmentCommand() *cobra.Command {
	return family("shipment", "Find shipments", p.shipmentListCommand())
}

func (p *program) shipmentListCommand() *cobra.Command {
	var f shipments.Filter
	var since, until string
	c := &cobra.Command{
		Use:   "list",
		Short: "Find shipments, the newest first",
		Long: `Find shipments, the newest first. All that is given has to fit; where a flag takes several words, any
of them.

The list comes from the view "shipments", which ` + "`waybill serve`" + ` keeps up to date and
` + "`waybill projection rebuild shipments`" + ` builds.`,
		Example: `  waybill shipment list --status picking,packing
  waybill shipment list --tracking-number 1Z999`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := firstOf(
				checkLimit(f.Limit),
				checkStatuses("status", f.Statuses, order.ShipmentMachine.States()),
				checkStatuses("delivery", f.DeliveryStatuses, order.CarrierStatuses()),
				parseSpan("created", since, until, &f.CreatedFrom, &f.CreatedTo),
			); err != nil {
				return err
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error { return p.listShipments(c.Context(), s, f) })
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&f.Statuses, "status", nil, "those with this `STATUS`: "+oneOf(order.ShipmentMachine.States()))
	flags.StringSliceVar(&f.DeliveryStatuses, "delivery", nil, "those of which the carrier says so: "+oneOf(order.CarrierStatuses()))
	flags.StringVar(&f.OrderID, "order", "", "those of the order with this `ID`")
	flags.StringVar(&f.TrackingNumber, "tracking-number", "", "those with a parcel of this tracking `NUMBER`")
	flags.StringVar(&f.Carrier, "carrier", "", "those by this `CARRIER`")
	spanFlags(flags.StringVar, "created", &since, &until)
	pageFlags(flags.IntVar, flags.StringVar, &f.Limit, &f.Cursor)
	return c
}

func (p *program) listShipments(ctx context.Context, s *session, f shipments.Filter) error {
	lag, err := s.engine.Projections().Lag(ctx, shipments.Name)
	if err != nil {
		return err
	}
	page, err := s.workspace.Shipments(ctx, f)
	if err != nil {
		return err
	}
	if p.json() {
		return p.printJSON(struct {
			Shipments  []shipments.Shipment `json:"shipments"`
			NextCursor string               `json:"nextCursor,omitempty"`
			LagSeconds float64              `json:"lagSeconds"`
		}{page.Rows, page.Next, lag.Seconds()})
	}
	var t table
	t.add(p.style.dim("created (UTC)"), p.style.dim("order"), p.style.dim("shipment"), p.style.dim("status"), p.style.dim("carrier says"), p.style.dim("carrier"),
		p.style.dim("tracking numbers"))
	for _, s := range page.Rows {
		t.add(when(s.CreatedAt), clean(numbered(s.OrderID, s.OrderNumber)), clean(numbered(s.ID, s.Number)), p.style.status(s.Status),
			p.style.status(s.DeliveryStatus), clean(s.Carrier), clean(strings.Join(s.TrackingNumbers, ", ")))
	}
	p.printPage(t, len(page.Rows), "shipments", page.Next, lag)
	return nil
}
