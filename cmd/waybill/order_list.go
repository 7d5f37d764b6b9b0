package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/projections"
	"github.com/waybill-dev/waybill/projections/orders"
)

func (p *program) orderListCommand() *cobra.Command {
	var f orders.Filter
	var since, until, placedSince, placedUntil string
	var least, most int64
	c := &cobra.Command{
		Use:   "list",
		Short: "Find orders, the newest first",
		Long: `Find orders, the newest first. All that is given has to fit; where a flag takes several words, any of
them.

The list comes from the view "orders", which ` + "`waybill serve`" + ` keeps up to date and
` + "`waybill projection rebuild orders`" + ` builds.`,
		Example: `  waybill order list --status placed,approved --created-since 2026-07-01
  waybill order list --email customer@example.com -o json`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if err := firstOf(
				checkLimit(f.Limit),
				checkStatuses("status", f.Statuses, order.OrderMachine.States()),
				checkStatuses("payment", f.PaymentStatuses, order.PaymentMachine.States()),
				checkStatuses("fulfillment", f.FulfillmentStatuses, order.FulfillmentMachine.States()),
				parseSpan("created", since, until, &f.CreatedFrom, &f.CreatedTo),
				parseSpan("placed", placedSince, placedUntil, &f.PlacedFrom, &f.PlacedTo),
			); err != nil {
				return err
			}
			if c.Flags().Changed("min-total") {
				f.MinTotal = &least
			}
			if c.Flags().Changed("max-total") {
				f.MaxTotal = &most
			}
			f.Currency = strings.ToUpper(f.Currency)
			return p.use(c.Context(), withoutSecrets, func(s *session) error { return p.listOrders(c.Context(), s, f) })
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&f.Statuses, "status", nil, "those with this `STATUS`: "+oneOf(order.OrderMachine.States()))
	flags.StringSliceVar(&f.PaymentStatuses, "payment", nil, "those with this payment `STATUS`, such as paid")
	flags.StringSliceVar(&f.FulfillmentStatuses, "fulfillment", nil, "those with this fulfillment `STATUS`: "+oneOf(order.FulfillmentMachine.States()))
	flags.StringVar(&f.Number, "number", "", "the one with this `NUMBER`")
	flags.StringVar(&f.Email, "email", "", "those with this e-mail `ADDRESS`")
	flags.StringVar(&f.CustomerID, "customer", "", "those of the customer with this `ID`")
	spanFlags(flags.StringVar, "created", &since, &until)
	spanFlags(flags.StringVar, "placed", &placedSince, &placedUntil)
	flags.StringVar(&f.Currency, "currency", "", "those in this `CURRENCY`, such as USD")
	flags.Int64Var(&least, "min-total", 0, "those with this total or more, in minor `UNITS` such as cents")
	flags.Int64Var(&most, "max-total", 0, "those with this total or less, in minor `UNITS`")
	pageFlags(flags.IntVar, flags.StringVar, &f.Limit, &f.Cursor)
	return c
}

func (p *program) listOrders(ctx context.Context, s *session, f orders.Filter) error {
	lag, err := s.engine.Projections().Lag(ctx, orders.Name)
	if err != nil {
		return err
	}
	page, err := s.workspace.Orders(ctx, f)
	if err != nil {
		return err
	}
	if p.json() {
		return p.printJSON(struct {
			Orders     []orders.Order `json:"orders"`
			NextCursor string         `json:"nextCursor,omitempty"`
			LagSeconds float64        `json:"lagSeconds"`
		}{page.Rows, page.Next, lag.Seconds()})
	}
	t := table{right: []int{5}}
	t.add(p.style.dim("created (UTC)"), p.style.dim("order"), p.style.dim("status"), p.style.dim("payment"), p.style.dim("fulfillment"), p.style.dim("total"), p.style.dim("customer"))
	for _, o := range page.Rows {
		t.add(when(o.CreatedAt), clean(numbered(o.ID, o.Number)), p.style.status(o.Status), p.style.status(o.PaymentStatus), p.style.status(o.FulfillmentStatus),
			order.FormatDecimal(o.Total, o.Currency)+" "+clean(o.Currency), clean(joined(" ", o.Email, bracketed(o.CustomerID))))
	}
	p.printPage(t, len(page.Rows), "orders", page.Next, lag)
	return nil
}

// printPage prints a page of what a view shows, and how to go on.
func (p *program) printPage(t table, rows int, things, next string, lag time.Duration) {
	if rows > 0 {
		t.write(p.stdout, "")
	} else if next == "" {
		p.printf("there are no such %s\n", things)
	}
	if next != "" {
		p.printf("\nThere may be more: --cursor %s\n", next)
	}
	if lag > 0 {
		p.printf("\n%s\n", p.style.yellow("The view is behind by "+lag.Round(time.Millisecond).String()+": `waybill serve` keeps it up to date"))
	}
}

// numbered is what people call something with an id and, perhaps, a number.
func numbered(id, number string) string {
	if number == "" || number == id {
		return id
	}
	return id + " (" + number + ")"
}

// spanFlags are the two ends of a time.
func spanFlags(text func(p *string, name, value, usage string), what string, since, until *string) {
	text(since, what+"-since", "", "those "+what+" at that `TIME` (2026-07-01T15:04:05Z) or later, or on that day (2026-07-01, UTC) or later")
	text(until, what+"-until", "", "those "+what+" before that `TIME`, or on that day (UTC) or before")
}

func parseSpan(what, since, until string, from, to *time.Time) (err error) {
	if since != "" {
		if *from, err = parseTime(what+"-since", since); err != nil {
			return err
		}
		if day, err := time.Parse(time.DateOnly, since); err == nil {
			*from = day // its beginning
		}
	}
	if until != "" {
		if *to, err = parseTime(what+"-until", until); err != nil {
			return err
		}
		if day, err := time.Parse(time.DateOnly, until); err == nil {
			*to = day.AddDate(0, 0, 1) // which is not included any more
		}
	}
	if since != "" && until != "" && !from.Before(*to) {
		return usagef("exchange them?", "--%s-until is not after --%s-since", what, what)
	}
	return nil
}

func pageFlags(number func(p *int, name string, value int, usage string), text func(p *string, name, value, usage string), limit *int, cursor *string) {
	number(limit, "limit", projections.DefaultLimit, fmt.Sprintf("how many at most, up to %d", projections.MaxLimit))
	text(cursor, "cursor", "", "go on where the list before ended, with the same flags")
}

func checkLimit(limit int) error {
	if limit < 1 || limit > projections.MaxLimit {
		return usagef(fmt.Sprintf("want 1 to %d", projections.MaxLimit), "--limit: %d is out of range", limit)
	}
	return nil
}

func checkStatuses(flag string, given, known []string) error {
	for _, status := range given {
		if !slices.Contains(known, status) {
			return usagef(orElse(suggest(status, known), "want "+oneOf(known)), "--%s: there is no status %.40q", flag, status)
		}
	}
	return nil
}

// firstOf returns the first error.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
