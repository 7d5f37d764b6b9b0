package projections

import "time"

// BeforeCheckpoint is called between the rows of a batch and its checkpoint.
func (r *Runner) BeforeCheckpoint(f func()) { r.beforeCheckpoint = f }

// SleepSoundly has the runner look by itself no more once it has found nothing for a while; sleeping is told each time that it comes to that.
func (r *Runner) SleepSoundly(sleeping func()) {
	r.newTimer = func(d time.Duration) *time.Timer {
		timer := time.NewTimer(d)
		if d >= r.config.PollInterval {
			timer.Stop()
			sleeping()
		}
		return timer
	}
}
