package profile

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-dev/waybill/domain"
	"github.com/waybill-dev/waybill/internal/quickjson"
)

// NativeRetries are the longest pauses before each retry of the native profile. They are those of Svix, drawn out at the end, so
// that a receiver may be away for three days.
var NativeRetries = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// Native is Waybill's own profile: the log's event types are the public names, and headers and signature follow the Standard
// Webhooks specification (https://www.standardwebhooks.com, version 1.0.0). A body looks like this:
//
//	{"type":"order.placed",
//	 "timestamp":"2026-01-02T03:04:05.678901Z",   when the event was recorded
//	 "data":{"eventId":"…","workspace":"default","orderId":"ord_1","version":3,
//	         "event":{…},                         the event's own data, as it was appended
//	         "order":{…}}}                        the order as it was right after the event
//
// Another aggregate puts its own name in the place of "order". The event that ends an aggregate's life, such as order.destroyed,
// carries neither "event" nor the aggregate, only the ids.
func Native(aggregates map[string]*domain.Aggregate) *Profile {
	var events []Event
	for name, aggregate := range aggregates {
		for _, t := range aggregate.Codec.Types() {
			events = append(events, Event{
				Name: t.Name, Description: t.Description, Types: []string{t.Name},
				schema: lazySchema("native", t.Name, func() object { return describeNative(name, aggregate, t) }),
			})
		}
	}
	sort.Slice(events, func(i, j int) bool { return events[i].Name < events[j].Name })
	return &Profile{
		Name:      "native",
		Events:    events,
		All:       true,
		Render:    renderNative,
		Signer:    StandardSigner,
		NewSecret: NewStandardSecret,
		Rotation:  Rotation,
		Success:   successful,
		GivesUp:   gone,
		Timeout:   15 * time.Second,
		Schedule:  Schedule{Pauses: NativeRetries},
		Circuit:   Circuit{NoticeAt: 5},
		samples:   sampler(aggregates),
	}
}

// endsLife tells whether an event ends the life of its aggregate, so that there is nothing left to show. The end of a part, such as
// shipment.destroyed of an order, is a change of the aggregate like any other.
func endsLife(aggregate, eventType string) bool {
	name, ok := strings.CutSuffix(eventType, ".destroyed")
	return ok && name == aggregate
}

// describeNative tells what renderNative writes for a type of event.
func describeNative(aggregateName string, aggregate *domain.Aggregate, t domain.EventType) object {
	name := lowerCamel(aggregateName)
	properties := object{
		"eventId":   object{"type": "string", "format": "uuid"},
		"workspace": object{"type": "string"},
		name + "Id": object{"type": "string"},
		"version":   object{"type": "integer", "minimum": 1},
	}
	required := []string{"eventId", "workspace", name + "Id", "version"}
	if !endsLife(aggregateName, t.Name) {
		// Data of the present version, with nothing in it, decodes to the zero value of the event's type.
		empty, err := aggregate.Codec.Decode(domain.Recorded{Type: t.Name, SchemaVersion: t.SchemaVersion(), Data: json.RawMessage("{}")})
		if err == nil {
			properties["event"] = describe(reflect.TypeOf(empty), t.Name)
		} else {
			properties["event"] = object{}
		}
		properties[name] = describe(reflect.TypeOf(aggregate.New()), t.Name)
		required = append(required, "event", name)
	}
	return object{
		"type": "object",
		"properties": object{
			"type":      object{"type": "string", "const": t.Name},
			"timestamp": object{"type": "string", "format": "date-time"},
			"data":      object{"type": "object", "properties": properties, "required": required},
		},
		"required": []string{"type", "timestamp", "data"},
	}
}

func renderNative(o Occurrence) (Message, error) {
	var state json.RawMessage
	whole := !endsLife(o.Stream.Aggregate, o.Type)
	if whole {
		var err error
		if state, err = quickjson.Marshal(o.After); err != nil {
			return Message{}, fmt.Errorf("render %s as of version %d: %w", o.Stream, o.Version, err)
		}
	}
	id, name := o.ID.String(), lowerCamel(o.Stream.Aggregate)
	b := make([]byte, 0, 256+len(o.Data)+len(state))
	b = text(append(b, '{'), "type", o.Type)
	b = text(b, "timestamp", o.RecordedAt.UTC().Format("2006-01-02T15:04:05.000000Z"))
	b = append(b, `,"data":{`...)
	b = text(b, "eventId", id)
	b = text(b, "workspace", o.Workspace)
	b = text(b, name+"Id", o.Stream.ID)
	b = field(b, "version", strconv.AppendInt(nil, int64(o.Version), 10))
	if whole {
		b = field(b, "event", o.Data)
		b = field(b, name, state)
	}
	b = append(b, '}', '}')
	return Message{ID: id, Event: o.Type, Body: b}, nil
}
