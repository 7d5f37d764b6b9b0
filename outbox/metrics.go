package outbox

import (
	"context"
	"database/sql"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-dev/waybill/outbox/webhook"
)

// lagTimeout is how long a scrape waits for the database.
const lagTimeout = 2 * time.Second

var (
	lagEvents  = prometheus.NewDesc("waybill_consumer_lag_events", "Events that a consumer of the log has still to read, counted up to 100,000.", []string{"consumer"}, nil)
	lagSeconds = prometheus.NewDesc("waybill_consumer_lag_seconds", "Age of the oldest event that a consumer of the log has still to read.", []string{"consumer"}, nil)
	byHealth   = prometheus.NewDesc("waybill_webhooks", "Webhooks by their state of health, of all workspaces.", []string{"state"}, nil)
	openRows   = prometheus.NewDesc("waybill_deliveries_open", "Deliveries still to be made, of all webhooks, counted up to 100,000.", nil, nil)
)

// LagMetrics tells how far consumers are behind and how webhooks fare, for all processes together. It asks the database when it is asked; where that does not
// answer in time, these metrics are missing.
type LagMetrics struct{ DB *sql.DB }

// Describe is part of [prometheus.Collector].
func (m LagMetrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{lagEvents, lagSeconds, byHealth, openRows} {
		descriptions <- d
	}
}

// Collect is part of [prometheus.Collector].
func (m LagMetrics) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lagTimeout)
	defer cancel()
	var d Diagnosis
	if err := d.lookAtConsumers(ctx, m.DB); err != nil {
		return
	}
	for _, c := range d.Consumers {
		metrics <- prometheus.MustNewConstMetric(lagEvents, prometheus.GaugeValue, float64(c.Events), c.Consumer)
		metrics <- prometheus.MustNewConstMetric(lagSeconds, prometheus.GaugeValue, c.LagSeconds, c.Consumer)
	}
	if counts, err := webhook.CountByHealth(ctx, m.DB); err == nil {
		for state, n := range counts {
			metrics <- prometheus.MustNewConstMetric(byHealth, prometheus.GaugeValue, float64(n), string(state))
		}
	}
	var open int
	if err := m.DB.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT FROM deliveries LIMIT $1) d`, MaxCount).Scan(&open); err == nil {
		metrics <- prometheus.MustNewConstMetric(openRows, prometheus.GaugeValue, float64(open))
	}
}
