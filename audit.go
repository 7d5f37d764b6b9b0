package waybill

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/domain/order"
	"github.com/waybill-dev/waybill/eventstore/audit"
	"github.com/waybill-dev/waybill/internal/jsondiff"
)

// Audit returns the log of every workspace, to be verified, sealed and exported. See package eventstore/audit.
func (e *Engine) Audit() *audit.Log { return audit.New(e.db, e.config.Now) }

// Conform holds all stored history against the machines of the engine's aggregates ([Config.Aggregates]), to see before a deploy which
// events they would not allow any more.
func (e *Engine) Conform(ctx context.Context, options audit.ConformOptions) (audit.Conformity, error) {
	aggregates := slices.SortedFunc(maps.Values(e.aggregates), func(a, b *domain.Aggregate) int { return strings.Compare(a.Name, b.Name) })
	return e.Audit().Conform(ctx, aggregates, options)
}

// OrderDiff is what became of an order between two moments.
type OrderDiff struct {
	From     int            `json:"from"` // version; 0 is before its first event
	To       int            `json:"to"`
	Statuses []order.Change `json:"statuses"` // those that are others at To than at From
	Fields   []FieldChange  `json:"fields"`   // every field of [order.Order] that is another, sorted
}

// FieldChange is one field that is another than before, by the names that it has in JSON.
type FieldChange = jsondiff.Change

// OrderDiff compares an order at two moments, each given by [AsOf] or [AtVersion]; nil means now. From may lie before the order's first
// event: by a time, or as version 0. It returns a [*domain.NotFoundError] where to does, or where either version is yet to come.
func (w *Workspace) OrderDiff(ctx context.Context, id string, from, to ReadOption) (OrderDiff, error) {
	stream := domain.StreamID{Aggregate: order.Name, ID: id}
	at := func(option ReadOption) (order.Order, int, error) {
		var options []ReadOption
		if option != nil {
			options = append(options, option)
		}
		state, version, err := w.State(ctx, stream, options...)
		if err != nil {
			return order.Order{}, 0, err
		}
		return state.(order.Order), version, nil
	}
	after, last, err := at(to)
	if err != nil {
		return OrderDiff{}, err
	}
	var asked moment
	if from != nil {
		from(&asked)
	}
	var before order.Order
	first := 0
	if asked.version == nil || *asked.version != 0 {
		before, first, err = at(from)
		if errors.As(err, new(*domain.NotFoundError)) && asked.asOf != nil {
			err = nil // there was no order yet
		}
		if err != nil {
			return OrderDiff{}, err
		}
	}
	var document any = before
	if first == 0 {
		document = struct{}{} // what is not there has no fields
	}
	fields, err := jsondiff.Compare(document, after)
	if err != nil {
		return OrderDiff{}, fmt.Errorf("compare order %s with itself: %w", id, err)
	}
	return OrderDiff{From: first, To: last, Statuses: append([]order.Change{}, order.Changes(before, after)...), Fields: fields}, nil
}
