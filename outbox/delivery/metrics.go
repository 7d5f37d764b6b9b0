package delivery

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics tells what one process delivers. It is a [prometheus.Collector], to be registered by whoever wants to see it.
type Metrics struct {
	Attempts *prometheus.CounterVec // attempts that were recorded, by outcome: delivered, failed, given_up
	Failures *prometheus.CounterVec // of these, those that did not deliver, by one of [ErrorClasses]
	Stops    prometheus.Counter     // webhooks that failures have stopped: their circuit opened, or they were disabled
	Filters  prometheus.Counter     // events that a webhook's filter could not be applied to
	Skipped  prometheus.Counter     // deliveries that ended without an attempt
	Latency  prometheus.Histogram   // seconds from the append of an event to the receiver's answer, of what was delivered
	Request  prometheus.Histogram   // seconds of an attempt
	Record   prometheus.Histogram   // seconds of a statement that records
	Recorded prometheus.Histogram   // outcomes in such a statement

	owned    prometheus.GaugeFunc // webhooks that this process has the leases of
	waiting  prometheus.GaugeFunc // deliveries in memory
	underWay prometheus.Gauge     // attempts that wait for an answer

	deliverer atomic.Pointer[Deliverer] // the latest to run
}

// NewMetrics returns metrics that count from zero.
func NewMetrics() *Metrics {
	m := &Metrics{
		Attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waybill_attempts_total", Help: "Attempts to deliver that were recorded, by outcome."}, []string{"outcome"}),
		Failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waybill_attempt_failures_total", Help: "Attempts that did not deliver, by what was wrong."}, []string{"class"}),
		Stops: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_webhook_stops_total", Help: "Webhooks that failures have stopped: their circuit opened, or they were disabled."}),
		Filters: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_filter_errors_total", Help: "Events that a webhook's filter could not be applied to, and that so did not match."}),
		Skipped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_deliveries_skipped_total",
			Help: "Deliveries that ended without an attempt, because the profile had nothing to say or the filter did not match."}),
		Latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "waybill_delivery_latency_seconds", Help: "Time from the append of an event to its acceptance by a receiver.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 24)}), // up to two hours
		Request: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "waybill_attempt_seconds", Help: "Duration of attempts.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)}),
		Record: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "waybill_record_seconds", Help: "Duration of the statements that record outcomes.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
		Recorded: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "waybill_record_batch_size", Help: "Outcomes that were recorded in one statement.", Buckets: prometheus.ExponentialBuckets(1, 2, 11)}),
		underWay: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "waybill_attempts_under_way", Help: "Attempts of this process that wait for an answer."}),
	}
	for _, outcome := range []kind{delivered, failed, givenUp} {
		m.Attempts.WithLabelValues(string(outcome))
	}
	for _, class := range ErrorClasses {
		m.Failures.WithLabelValues(class)
	}
	m.owned = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "waybill_webhooks_owned", Help: "Webhooks that this process delivers for."}, func() float64 {
		return float64(len(m.queues()))
	})
	m.waiting = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "waybill_deliveries_in_memory", Help: "Deliveries that this process has read and not yet recorded."}, func() (n float64) {
		for _, q := range m.queues() {
			q.mu.Lock()
			n += float64(q.open)
			q.mu.Unlock()
		}
		return n
	})
	return m
}

func (m *Metrics) queues() []*queue {
	if d := m.deliverer.Load(); d != nil {
		return d.snapshot()
	}
	return nil
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.Attempts, m.Failures, m.Stops, m.Filters, m.Skipped, m.Latency, m.Request, m.Record, m.Recorded, m.owned, m.waiting, m.underWay}
}

// Describe is part of [prometheus.Collector].
func (m *Metrics) Describe(descriptions chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(descriptions)
	}
}

// Collect is part of [prometheus.Collector].
func (m *Metrics) Collect(metrics chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(metrics)
	}
}

// count counts outcomes of a webhook that were recorded.
func (m *Metrics) count(outcomes []*outcome, s standing) {
	if s.stopped {
		m.Stops.Inc()
	}
	for _, o := range outcomes {
		if o.kind == skipped {
			m.Skipped.Inc()
			continue
		}
		m.Attempts.WithLabelValues(string(o.kind)).Inc()
		m.Request.Observe(o.duration.Seconds())
		if o.kind != delivered {
			m.Failures.WithLabelValues(classOf(o.problem)).Inc()
		} else {
			m.Latency.Observe(o.startedAt.Add(o.duration).Sub(o.item.occurrence.RecordedAt).Seconds())
		}
	}
}
