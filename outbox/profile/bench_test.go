package profile

import (
	"net/http"
	"testing"
	"time"
)

// BenchmarkRender renders the placement of the sample order in each profile.
func BenchmarkRender(b *testing.B) {
	for name, event := range map[string]string{
		"native": "order.placed", "commercelayer": "orders.place", "chord": "order_completed", "goody": "order.shipped", "ordergroove": "order.success",
		"up42": "order.status",
	} {
		b.Run(name, func(b *testing.B) {
			p := All(everything)[name]
			o, err := p.Sample(event)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Render(o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	m := Message{ID: "019b7cd0-02ee-7000-8000-000000000006", Event: "order.placed", Body: make([]byte, 2048)}
	for _, name := range []string{"native", "commercelayer", "ordergroove", "up42"} {
		b.Run(name, func(b *testing.B) {
			p := All(everything)[name]
			sign, err := p.Signer([]string{p.NewSecret()})
			if err != nil {
				b.Fatal(err)
			}
			at := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				sign(http.Header{}, m, at)
			}
		})
	}
}
