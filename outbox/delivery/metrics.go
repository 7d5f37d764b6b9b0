package delivery

import (
	"context"
	"database/sql"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-dev/waybill/internal/pgerr"
	"github.com/waybill-dev/waybill/outbox/webhook"
)

// CountByHealth returns how many webhooks there are in each state of health, of all workspaces and whether they are active or not.
func CountByHealth(ctx context.Context, db *sql.DB) (map[webhook.State]int, error) {
	var all, failing, open, disabled int
	err := db.QueryRowContext(ctx, `
		SELECT count(*), count(*) FILTER (WHERE c.state = 'failing'), count(*) FILTER (WHERE c.state = 'open'), count(*) FILTER (WHERE c.state = 'disabled')
		FROM webhooks w LEFT JOIN circuits c ON c.webhook = w.number WHERE w.deleted_at IS NULL`).Scan(&all, &failing, &open, &disabled)
	return map[webhook.State]int{
		webhook.Healthy: all - failing - open - disabled, webhook.Failing: failing, webhook.CircuitOpen: open, webhook.Disabled: disabled,
	}, pgerr.Wrap("count webhooks", err)
}

// Metrics counts what this process's attempts came to. It is a Prometheus collector.
type Metrics struct {
	attempts *prometheus.CounterVec
	stops    prometheus.Counter
	filters  prometheus.Counter
}

func newMetrics() *Metrics {
	return &Metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waybill_webhook_attempts_total",
			Help: "Attempts that were recorded, by what they came to (delivered, failed, given_up) and in which way they failed.",
		}, []string{"outcome", "class"}),
		stops: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_webhook_stops_total",
			Help: "Webhooks that failures have stopped: their circuit opened, or they were disabled.",
		}),
		filters: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_webhook_filter_errors_total",
			Help: "Events to which a webhook's filter could not be applied, so that they counted as no match.",
		}),
	}
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.attempts, m.stops, m.filters}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(c chan<- *prometheus.Desc) {
	for _, x := range m.collectors() {
		x.Describe(c)
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(c chan<- prometheus.Metric) {
	for _, x := range m.collectors() {
		x.Collect(c)
	}
}

// Metrics returns the collector of this deliverer.
func (d *Deliverer) Metrics() *Metrics { return d.metrics }

func (m *Metrics) recorded(outcomes []*outcome, s standing) {
	for _, o := range outcomes {
		if o.kind != skipped {
			m.attempts.WithLabelValues(string(o.kind), classOf(o.problem)).Inc()
		}
	}
	if s.stopped {
		m.stops.Inc()
	}
}

func (m *Metrics) filterFailed() { m.filters.Inc() }
