package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/outbox/delivery"
)

func (p *program) orderCommand() *cobra.Command {
	return family("order", "Find orders, and look at one, now or as it was", p.orderListCommand(), p.orderShowCommand(), p.orderHistoryCommand(), p.orderDiffCommand())
}

// moment is the time or version at which an order is looked at.
type moment struct {
	asOf    string
	version int
}

func (m *moment) flags(c *cobra.Command) {
	c.Flags().StringVar(&m.asOf, "as-of", "", "as it was at that `TIME` (2026-07-01T15:04:05Z), or at the end of that day (2026-07-01, UTC)")
	c.Flags().IntVar(&m.version, "version", 0, "as it was right after the event with that `NUMBER`")
}

func (m *moment) options(c *cobra.Command) ([]waybill.ReadOption, error) {
	switch {
	case c.Flags().Changed("as-of") && c.Flags().Changed("version"):
		return nil, usagef("leave one of them out", "--as-of and --version exclude each other")
	case c.Flags().Changed("as-of"):
		at, err := parseTime("as-of", m.asOf)
		return []waybill.ReadOption{waybill.AsOf(at)}, err
	case c.Flags().Changed("version") && m.version < 1:
		return nil, usagef("versions start at 1", "--version: %d is not a version", m.version)
	case c.Flags().Changed("version"):
		return []waybill.ReadOption{waybill.AtVersion(m.version)}, nil
	}
	return nil, nil
}

func (p *program) orderShowCommand() *cobra.Command {
	var at moment
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show an order, now or as it was",
		Example: `  waybill order show ord_1
  waybill order show ord_1 --as-of 2026-07-01T15:04:05Z -o json`,
		Args: words("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			options, err := at.options(c)
			if err != nil {
				return err
			}
			if err := checkID("an order", args[0]); err != nil {
				return err
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				state, version, err := s.workspace.State(c.Context(), domain.StreamID{Aggregate: order.Name, ID: args[0]}, options...)
				if err != nil {
					return err
				}
				o := state.(order.Order)
				if p.json() {
					return p.printJSON(struct {
						Version int         `json:"version"`
						Order   order.Order `json:"order"`
					}{version, o})
				}
				card{p.stdout, p.style, o}.print(version)
				return nil
			})
		},
	}
	at.flags(c)
	return c
}

func (p *program) orderHistoryCommand() *cobra.Command {
	var at moment
	c := &cobra.Command{
		Use:   "history ID",
		Short: "Tell how an order came to be what it is",
		Args:  words("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			options, err := at.options(c)
			if err != nil {
				return err
			}
			if err := checkID("an order", args[0]); err != nil {
				return err
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				return p.history(c.Context(), s, args[0], options)
			})
		},
	}
	at.flags(c)
	return c
}

func (p *program) history(ctx context.Context, s *session, id string, options []waybill.ReadOption) error {
	last := 0 // as of the moment asked for; 0 means all
	if len(options) > 0 {
		var err error
		if _, last, err = s.workspace.State(ctx, domain.StreamID{Aggregate: order.Name, ID: id}, options...); err != nil {
			return err
		}
	}
	steps, state, err := readSteps(ctx, s.workspace, id, last)
	if err != nil {
		return err
	}
	if err := addDeliveries(ctx, s, id, steps); err != nil {
		return err
	}
	if p.json() {
		return p.printHistoryJSON(id, steps)
	}
	p.printf("%s   %s\n\n", p.style.bold(title(state)), statuses(p.style, state))
	p.printSteps(steps)
	return nil
}

func (p *program) orderDiffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff ID FROM [TO]",
		Short: "Show which fields of an order differ between two moments",
		Long: `Show which statuses and fields of an order differ between two moments. Each is a version, or a time
(2026-07-01T15:04:05Z, or 2026-07-01 for the end of that day in UTC). 0 is before the order's first event;
without TO it is now.`,
		Example: `  waybill order diff ord_1 3 7
  waybill order diff ord_1 2026-07-01`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 3 {
				return nil
			}
			return words("ID", "FROM")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkID("an order", args[0]); err != nil {
				return err
			}
			from, err := parseMoment(args[1])
			if err != nil {
				return err
			}
			var to waybill.ReadOption
			if len(args) == 3 {
				if args[2] == "0" {
					return usagef("give the later moment as TO", "before its first event the order was nothing")
				}
				if to, err = parseMoment(args[2]); err != nil {
					return err
				}
			}
			return p.use(c.Context(), withoutSecrets, func(s *session) error {
				diff, err := s.workspace.OrderDiff(c.Context(), args[0], from, to)
				if err != nil {
					return err
				}
				if p.json() {
					return p.printJSON(diff)
				}
				p.printDiff(args[0], diff)
				return nil
			})
		},
	}
}

// parseMoment reads a version or a time.
func parseMoment(text string) (waybill.ReadOption, error) {
	if version, err := strconv.Atoi(text); err == nil && version >= 0 {
		return waybill.AtVersion(version), nil
	}
	at, err := parseTime("", text)
	if err != nil {
		return nil, usagef("give a version such as 3, or a time such as 2026-07-01T15:04:05Z", "%.40q is neither a version nor a time", text)
	}
	return waybill.AsOf(at), nil
}

func (p *program) printDiff(id string, d waybill.OrderDiff) {
	p.printf("%s   version %d → %d\n", p.style.bold("Order "+clean(id)), d.From, d.To)
	if len(d.Fields) == 0 {
		p.printf("  nothing differs\n")
		return
	}
	for _, c := range d.Statuses {
		subject := c.Machine
		if c.Machine == order.ShipmentMachine.Name {
			subject = clean(c.Subject)
		}
		p.printf("  %s %s → %s\n", subject, orElse(p.style.status(c.From), "∅"), p.style.status(c.To))
	}
	for _, f := range d.Fields {
		switch f.Field {
		case "status", "paymentStatus", "fulfillmentStatus", "updatedAt": // told above, or always another
		default:
			p.printf("  %s\n", fieldLine(p.style, f))
		}
	}
}

// readSteps reads an order's life up to a version, or all of it where that is 0.
func readSteps(ctx context.Context, ws *waybill.Workspace, id string, last int) (steps []step, state order.Order, err error) {
	var t teller
	for r, err := range ws.History(ctx, id) {
		if err != nil {
			return nil, state, err
		}
		if last > 0 && r.Version > last {
			break
		}
		s, err := t.tell(r)
		if err != nil {
			return nil, state, err
		}
		steps = append(steps, s)
	}
	return steps, t.state, nil
}

// addDeliveries adds to each step what became of telling webhooks of it.
func addDeliveries(ctx context.Context, s *session, id string, steps []step) error {
	const page = 500
	for begin := 0; begin < len(steps); begin += page {
		found, err := delivery.OfStream(ctx, s.DB, s.workspace.Name(), domain.StreamID{Aggregate: order.Name, ID: id}, begin)
		if err != nil {
			return err
		}
		for _, d := range found {
			if d.Version <= len(steps) { // versions are numbered from 1, without gaps
				steps[d.Version-1].deliveries = append(steps[d.Version-1].deliveries, d)
			}
		}
	}
	return nil
}

// printSteps prints events under the command that led to them.
func (p *program) printSteps(steps []step) {
	var t table
	t.right = []int{0}
	first := 0 // of the command's events
	for i, s := range steps {
		t.add(p.style.dim(itoa(s.Version)), s.Type, s.text(p.style))
		for _, line := range s.details(p.style) {
			t.add("", "", "  "+line)
		}
		if i+1 < len(steps) && sameCommand(s, steps[i+1]) {
			continue
		}
		head := p.style.dim(when(steps[first].RecordedAt)) + "  " + p.style.cyan(steps[first].by())
		if why := s.because(); why != "" {
			head += p.style.dim("  (" + why + ")")
		}
		p.printf("%s\n", head)
		t.writeAs(p.stdout, "  ", stepWidths)
		t.rows, first = nil, i+1
	}
}

// stepWidths are those of the columns of steps, which several small tables share.
var stepWidths = []int{4, 30}

// sameCommand says whether two neighbours in a stream come from one command: those have everything but their versions in common.
func sameCommand(a, b step) bool {
	return a.TransactionID == b.TransactionID && a.RecordedAt.Equal(b.RecordedAt) && string(a.Metadata) == string(b.Metadata)
}

func (p *program) printHistoryJSON(id string, steps []step) error {
	type entry struct {
		recordedJSON
		Description string                `json:"description"`
		Changes     []order.Change        `json:"changes"`
		Fields      []waybill.FieldChange `json:"fields"`
		Deliveries  []delivery.OfEvent    `json:"deliveries"`
	}
	entries := make([]entry, len(steps))
	for i, s := range steps {
		entries[i] = entry{jsonOf(s.Recorded), order.Describe(s.event), append([]order.Change{}, s.changes...), s.fields, append([]delivery.OfEvent{}, s.deliveries...)}
	}
	return p.printJSON(struct {
		Order  string  `json:"order"`
		Events []entry `json:"events"`
	}{id, entries})
}

// title is what people call an order.
func title(o order.Order) string {
	if o.Number == "" || o.Number == o.ID {
		return "Order " + clean(o.ID)
	}
	return "Order " + clean(o.Number) + " (" + clean(o.ID) + ")"
}

func statuses(s style, o order.Order) string {
	return s.status(o.Status) + " · " + s.status(o.PaymentStatus) + " · " + s.status(o.FulfillmentStatus)
}
