package audit

import (
	"bytes"
	"testing"
	"time"
)

// go test ./eventstore/audit -run xxx -bench . -benchtime 1x: events per second for sealing, for chains, for seals, for an export and for a bundle.
func BenchmarkLog(b *testing.B) {
	const events = 400_000
	for range b.N {
		f := newFixture(b)
		f.fill(events, events/10)
		if _, err := f.Exec(`VACUUM ANALYZE events`); err != nil {
			b.Fatal(err)
		}
		rate := func(unit string, work func() error) {
			b.Helper()
			began := time.Now()
			if err := work(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(events/time.Since(began).Seconds(), unit)
		}
		rate("sealed/s", func() error { f.seal(); return nil })
		rate("chained/s", func() error { _, err := f.log.Verify(b.Context(), Options{ChainsOnly: true}); return err })
		rate("chained-by-1/s", func() error { _, err := f.log.Verify(b.Context(), Options{ChainsOnly: true, Workers: 1}); return err })
		rate("seals/s", func() error {
			r := Report{}
			return f.log.verifySeals(b.Context(), Options{}, &r)
		})
		var bundle bytes.Buffer
		rate("exported/s", func() error { _, err := f.log.Export(b.Context(), &bundle, ExportOptions{}); return err })
		b.ReportMetric(float64(bundle.Len())/events, "B/event")
		rate("bundled/s", func() error { _, err := VerifyBundle(b.Context(), &bundle, Options{}); return err })
	}
}
