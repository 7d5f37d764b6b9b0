package projections

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// scrapeTimeout is how long a scrape waits for the database.
const scrapeTimeout = 2 * time.Second

var (
	lagEvents     = prometheus.NewDesc("waybill_projection_lag_events", "Events that a view has still to see, counted up to 100,000.", []string{"projection"}, nil)
	lagSeconds    = prometheus.NewDesc("waybill_projection_lag_seconds", "Age of the oldest event that a view has still to see.", []string{"projection"}, nil)
	streamsParked = prometheus.NewDesc("waybill_projection_parked_streams", "Streams that a view cannot follow.", []string{"projection"}, nil)
)

// Metrics tells how far views are behind, for all processes together; of views that were never built it tells nothing. It asks the database
// when it is asked; where that does not answer in time, these metrics are missing.
func (r *Runner) Metrics() prometheus.Collector { return metrics{r} }

type metrics struct{ *Runner }

// Describe is part of [prometheus.Collector].
func (metrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{lagEvents, lagSeconds, streamsParked} {
		descriptions <- d
	}
}

// Collect is part of [prometheus.Collector].
func (m metrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	list, err := m.List(ctx)
	if err != nil {
		return
	}
	for _, s := range list {
		if s.Generation == 0 {
			continue
		}
		to <- prometheus.MustNewConstMetric(lagEvents, prometheus.GaugeValue, float64(s.Behind), s.Projection)
		to <- prometheus.MustNewConstMetric(lagSeconds, prometheus.GaugeValue, s.LagSeconds, s.Projection)
		to <- prometheus.MustNewConstMetric(streamsParked, prometheus.GaugeValue, float64(s.Parked), s.Projection)
	}
}
