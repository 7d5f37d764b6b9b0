package eventstore

import "github.com/prometheus/client_golang/prometheus"

// Metrics tells what a store does. It is a [prometheus.Collector], to be registered by whoever wants to see it.
type Metrics struct {
	Events    prometheus.Counter   // events appended
	Conflicts prometheus.Counter   // batches that lost a race, or a key
	Seconds   prometheus.Histogram // of a statement that appends, failed ones included
	GroupSize prometheus.Histogram // batches in such a statement
}

func newMetrics() Metrics {
	return Metrics{
		Events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_events_appended_total", Help: "Events appended to the log, also within callers' own transactions, whatever becomes of those."}),
		Conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_append_conflicts_total", Help: "Appends that lost a race for a stream's next version or an idempotency key."}),
		Seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "waybill_append_seconds", Help: "Duration of the statements that append to the log.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)}),
		GroupSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "waybill_append_group_size", Help: "Commands that shared one statement and one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9)}),
	}
}

func (m Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.Events, m.Conflicts, m.Seconds, m.GroupSize}
}

// Describe is part of [prometheus.Collector].
func (m Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(descriptions)
	}
}

// Collect is part of [prometheus.Collector].
func (m Metrics) Collect(metrics chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(metrics)
	}
}
