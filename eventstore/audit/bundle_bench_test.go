package audit

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/waybill-dev/waybill/eventstore"
)

// go test ./eventstore/audit -run xxx -bench Bundle: events per second from a bundle in memory.
func BenchmarkBundle(b *testing.B) {
	const events = 50_000
	var bundle bytes.Buffer
	w := newBundleWriter(&bundle)
	w.write(line{Bundle: &header{Format: bundleFormat, MadeAt: noon, Previous: make([]byte, 32)}})
	for i := range int64(events) {
		data := fmt.Sprintf(`{"note":"%d","text":"%0300d"}`, i, i)
		e := eventLine{Place: cursor{1 << 44, i + 1}, Workspace: "b", Stream: fmt.Sprint("order/", i), Version: 1, ID: uuid.New(), Type: "order.noted",
			SchemaVersion: 1, Data: data, Metadata: `{"command":"order.note","actor":"checkout"}`, RecordedAt: noon}
		e.Hash = eventstore.ChainHash(nil, e.recorded())
		w.write(line{Event: &e})
		w.end.Events++
	}
	if err := w.close(nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r, err := VerifyBundle(b.Context(), bytes.NewReader(bundle.Bytes()), Options{})
		if err != nil || !r.Intact() || r.Events != events {
			b.Fatal(r, err)
		}
	}
	b.ReportMetric(events*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
