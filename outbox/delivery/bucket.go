package delivery

import "time"

// bucket holds the attempts that a webhook's rate allows right now: a tenth of a second's worth at most, so that in no second there are
// many more than the rate, and one at least. A webhook that changes hands has a fresh one.
type bucket struct {
	tokens  float64
	at      time.Time // when tokens was true
	limited bool      // there was a limit then
}

// wait returns how long it takes until an attempt may begin; rate is in attempts a second, and 0 is no limit.
func (b *bucket) wait(rate int, now time.Time) time.Duration {
	if rate == 0 {
		b.limited = false
		return 0
	}
	most := max(1, float64(rate)/10)
	if !b.limited {
		b.tokens, b.at, b.limited = most, now, true
	}
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens, b.at = min(most, b.tokens+passed.Seconds()*float64(rate)), now
	}
	if b.tokens >= 1 {
		return 0
	}
	return max(time.Millisecond, time.Duration((1-b.tokens)/float64(rate)*float64(time.Second)))
}

// spend takes what wait has said is there.
func (b *bucket) spend() { b.tokens-- }

// refund gives back what was not used.
func (b *bucket) refund() { b.tokens++ }
