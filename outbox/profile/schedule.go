package profile

import "time"

// Schedule says when a failed delivery is tried again, and when it is given up. It has either Pauses or a Sweep.
type Schedule struct {
	// Pauses are the longest pauses before each retry, so their number is that of the retries: one more attempt is made than there
	// are pauses. A pause is drawn evenly from zero to the longest ("full jitter").
	Pauses []time.Duration
	// Sweep, where it is above zero, makes all retries of the platform come at once: at each full multiple of Sweep, by UTC, what
	// is left over is tried again, up to MaxRetries times.
	Sweep      time.Duration
	MaxRetries int
}

// Retries is how often a delivery is tried again after its first attempt.
func (s Schedule) Retries() int {
	if s.Sweep > 0 {
		return s.MaxRetries
	}
	return len(s.Pauses)
}

// Next returns when to try again, after attempts have been made and the last of them ended at the time given, or false where the
// delivery is to be given up. draw picks a pause, given the longest.
func (s Schedule) Next(attempts int, at time.Time, draw func(longest time.Duration) time.Duration) (time.Time, bool) {
	if attempts < 1 || attempts > s.Retries() {
		return time.Time{}, false
	}
	if s.Sweep > 0 {
		return at.UTC().Truncate(s.Sweep).Add(s.Sweep), true
	}
	return at.Add(draw(s.Pauses[attempts-1])), true
}

// Circuit says what many failures of one webhook in a row lead to. Failures are counted by attempts, retries included, over all
// events; one success sets the count back to zero. Zero means never.
type Circuit struct {
	NoticeAt     int           // so many, and the owner is told, once for each row of failures
	OpenAt       int           // so many, and nothing more is sent until the webhook is reset
	DisableAfter time.Duration // a webhook that has been failing for so long, without one success, is disabled
}
