package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-dev/waybill"
	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// patience is how long the demo waits for one webhook, and at its end for all that are still missing.
const patience = 30 * time.Second

func (p *program) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Watch real orders live their lives, each transition delivered to a webhook",
		Long: `Take a handful of orders through their lives, in a workspace of their own, and let a receiver on
this machine be told of every event by a signed webhook. At the end what it received is compared
with the log; the exit status is 0 only where nothing is missing and nothing came twice.`,
		Args: noWords,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("workspace") {
				return usagef("leave --workspace out", "every demo makes a workspace of its own")
			}
			p.workspace = "demo-" + strings.ToLower(rand.Text()[:6])
			return p.use(c.Context(), withSecrets, func(s *session) error { return p.demo(c.Context(), s) })
		},
	}
}

// demo is one run of the demonstration.
type demo struct {
	*program
	session   *session
	receiver  *receiver
	impatient bool // a webhook took too long: from now on nobody waits for single ones
}

// tally compares what the receiver got with the log.
type tally struct {
	Events     int `json:"events"`     // in the log
	Deliveries int `json:"deliveries"` // requests that the receiver verified
	Missing    int `json:"missing"`    // events that it was not told of
	Repeated   int `json:"repeated"`   // deliveries of an event that it knew already
}

func (t tally) String() string {
	return fmt.Sprintf("events=%d deliveries=%d missing=%d repeated=%d", t.Events, t.Deliveries, t.Missing, t.Repeated)
}

func (p *program) demo(ctx context.Context, s *session) (err error) {
	scripts, err := readScripts(demoOrders, "testdata/orders/*.json")
	if err != nil {
		return err
	}
	d := &demo{program: p, session: s}
	if d.receiver, err = listen(ctx, p.workspace); err != nil {
		return err
	}
	defer d.receiver.close()

	hook, secret, err := s.workspace.CreateWebhook(ctx, webhook.New{Name: "demo receiver", URL: d.receiver.url})
	if err != nil {
		return err
	}
	if err := d.receiver.trust(secret.Reveal()); err != nil {
		return err
	}
	d.introduce(len(scripts))

	err = s.whileRelaying(ctx, func(ctx context.Context) error { return d.live(ctx, scripts) })
	// Once the relay has stopped, its webhook is gone and the receiver has answered what it got, nothing can be repeated any more.
	cleanup := errors.Join(s.workspace.DeleteWebhook(context.WithoutCancel(ctx), hook.ID), d.receiver.close())
	if err = cmp.Or(err, cleanup); err != nil {
		return err
	}
	return d.conclude(ctx, scripts)
}

func (d *demo) introduce(orders int) {
	if d.json() {
		return
	}
	d.printf("%s  %d orders, and a receiver that believes only what is signed\n\n", d.style.bold("Waybill"), orders)
	var t table
	t.add(d.style.dim("database"), d.session.describe())
	t.add(d.style.dim("workspace"), d.workspace)
	t.add(d.style.dim("receiver"), d.receiver.url)
	t.write(d.stdout, "  ")
}

// live takes every order through its life, and then waits for what is still on its way to the receiver.
func (d *demo) live(ctx context.Context, scripts []script) error {
	for _, s := range scripts {
		if err := d.tell(ctx, s); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, s := range scripts {
		for r, err := range d.session.workspace.History(ctx, s.orderID) {
			if err != nil {
				return err
			}
			if _, ok := d.receiver.wait(ctx, r.ID.String()); !ok {
				return nil // the tally will show it
			}
		}
	}
	return nil
}

// tell executes an order's commands one after the other, and prints each event when it has happened, and beside it the webhook when
// the receiver has verified it.
func (d *demo) tell(ctx context.Context, s script) error {
	if !d.json() {
		d.printf("\n%s  %s\n", d.style.bold(s.orderID), s.title)
		d.line("event", "what it changed")
		d.printf("webhook verified\n")
	}
	var told teller
	for _, a := range s.acts {
		result, err := d.session.workspace.Execute(ctx, a.command, waybill.Actor(a.by))
		committed := time.Now()
		if refusal := new(domain.IllegalTransitionError); a.refused && errors.As(err, &refusal) {
			d.refused(refusal)
			continue
		}
		if err != nil {
			return err
		}
		if a.refused {
			return fmt.Errorf("%s of order %s was not refused, as it should have been", a.command.CommandName(), s.orderID)
		}
		for _, r := range result.Events {
			step, err := told.tell(r)
			if err != nil {
				return err
			}
			if err := d.event(ctx, step, committed); err != nil {
				return err
			}
		}
	}
	return nil
}

// event prints one event, waits for its webhook and prints that too.
func (d *demo) event(ctx context.Context, s step, committed time.Time) error {
	if !d.json() {
		d.line(s.Type, s.text(d.style))
	}
	wait, cancel := context.WithTimeout(ctx, patience)
	if d.impatient {
		cancel()
	}
	n, ok := d.receiver.wait(wait, s.ID.String())
	cancel()
	switch {
	case ctx.Err() != nil:
		if !d.json() {
			d.printf("\n") // what the error says gets a line of its own
		}
		return ctx.Err()
	case !ok:
		d.impatient = true
		n.kind = "not here yet"
	case n.kind != s.Type:
		return fmt.Errorf("the webhook for event %s says %q, not %q", s.ID, n.kind, s.Type)
	}
	if d.json() {
		return nil
	}
	if !ok {
		d.printf("%s\n", d.style.yellow("… "+n.kind))
		return nil
	}
	id := s.ID.String()
	latency := max(0, n.at.Sub(committed)) // another process may deliver before we know of our own commit
	d.printf("%s …%s %s\n", d.style.green("✓"), id[len(id)-8:], d.style.dim(fmt.Sprintf("%6.1f ms", float64(latency)/1e6)))
	return nil
}

// line prints the first columns of a line, whose rest follows when it is known.
func (d *demo) line(event, change string) {
	d.printf("  %s %s ", padRight(event, 30), padRight(change, 60))
}

func (d *demo) refused(refusal *domain.IllegalTransitionError) {
	if d.json() {
		return
	}
	d.printf("  %s %s\n", d.style.red("✗ "+padRight(refusal.Command, 28)), d.style.red("refused: ")+explainRefusal(refusal))
}

// explainRefusal says the same as the error, without what stands around it already.
func explainRefusal(e *domain.IllegalTransitionError) string {
	text := fmt.Sprintf("the %s is %s", e.Machine, e.State)
	if e.Reason != "" {
		text += ", and " + e.Reason
	}
	return clean(text)
}

// conclude prints the audit of the first order, and the tally of all.
func (d *demo) conclude(ctx context.Context, scripts []script) error {
	if !d.json() {
		audited := scripts[0].orderID
		d.printf("\n%s  how %s came to be what it is, from the log\n\n", d.style.bold("Audit"), audited)
		steps, state, err := readSteps(ctx, d.session.workspace, audited, 0)
		if err != nil {
			return err
		}
		d.printSteps(steps)
		verified, err := d.session.workspace.VerifyOrder(ctx, audited)
		if err != nil {
			return err
		}
		d.printf("\n  %s   %s\n", d.style.bold(title(state)), statuses(d.style, state))
		d.printf("  %s the hash chain holds over all %d events, up to %x…\n\n", d.style.green("✓"), verified, steps[len(steps)-1].Hash[:6])
	}
	t, err := d.count(ctx, scripts)
	if err != nil {
		return err
	}
	if d.json() {
		err = d.printJSON(t)
	} else {
		d.printf("%s\n", t)
		if d.terminal {
			d.whereNext(scripts[0].orderID)
		}
	}
	return errors.Join(err, d.verdict(t))
}

// count compares what the receiver got with every stream of the demo's workspace.
func (d *demo) count(ctx context.Context, scripts []script) (t tally, err error) {
	d.receiver.mu.Lock()
	defer d.receiver.mu.Unlock()
	for _, notices := range d.receiver.told {
		t.Deliveries += len(notices)
		t.Repeated += len(notices) - 1
	}
	known := 0
	for _, s := range scripts {
		for r, err := range d.session.workspace.History(ctx, s.orderID) {
			if err != nil {
				return t, err
			}
			t.Events++
			if d.receiver.told[r.ID.String()] == nil {
				t.Missing++
			} else {
				known++
			}
		}
	}
	if invented := len(d.receiver.told) - known; invented > 0 {
		return t, fmt.Errorf("the receiver was told of %d events that are not in the log", invented)
	}
	return t, nil
}

func (d *demo) verdict(t tally) error {
	d.receiver.mu.Lock()
	defer d.receiver.mu.Unlock()
	switch {
	case len(d.receiver.doubts) > 0:
		return fmt.Errorf("the receiver could not verify %s: %w", counted(len(d.receiver.doubts), "request"), d.receiver.doubts[0])
	case t.Missing > 0 || t.Repeated > 0:
		return fmt.Errorf("the receiver missed %s and got %d twice", counted(t.Missing, "event"), t.Repeated)
	}
	return nil
}

func (d *demo) whereNext(orderID string) {
	d.printf("\nGo on:\n")
	var t table
	t.add("  bin/waybill order show "+orderID+" --workspace "+d.workspace, d.style.dim("the order as it is now"))
	t.add("  bin/waybill order history "+orderID+" --workspace "+d.workspace, d.style.dim("and how it came to be that"))
	t.add("  bin/waybill machine", d.style.dim("the state machines that decide"))
	t.add("  make serve", d.style.dim("a relay for webhooks of your own"))
	t.write(d.stdout, "")
}
