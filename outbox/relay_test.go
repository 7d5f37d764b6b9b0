package outbox

import (
	"testing"
)

func TestEveryEventOnceToEachWebhookInOrder(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	one, two := k.receiver(ok), k.receiver(ok)
	k.webhook(one)
	k.webhook(two)
	total := k.appendMany(20, 10)
	k.relay()
	k.drained(2 * total)
	for _, r := range []*receiver{one, two} {
		got := r.got()
		if len(got) != total {
			t.Errorf("%d requests for %d events", len(got), total)
		}
		inOrder(t, got, 10)
	}
}
