package outbox

import (
	"context"
	"database/sql"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"
)

// Processes tell each other by NOTIFY that there is something to do. It is a matter of speed only: whoever misses it looks by itself
// a little later. So it is never part of the transaction that it is about: a commit with a NOTIFY takes a lock of the whole server.
const (
	newsChannel = "waybill"
	eventsNews  = "events"      // events were appended
	madeNews    = "deliveries " // deliveries were made, for the webhooks whose numbers follow

	newsInterval = 5 * time.Millisecond // at most so often
	newsTimeout  = time.Second
	maxNews      = 7000 // bytes of a message; PostgreSQL takes 8000
)

// Herald tells relays and views in other processes that events were appended. Many calls are one message.
type Herald struct {
	DB *sql.DB

	mu     sync.Mutex
	busy   bool // a message is under way
	again  bool // another is to follow
	closed bool
	work   sync.WaitGroup
}

// Announce says that events were appended. It does not wait for anything.
func (h *Herald) Announce() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.again = h.busy; h.busy || h.closed {
		return
	}
	h.busy = true
	h.work.Go(h.run)
}

func (h *Herald) run() {
	for {
		tell(context.Background(), h.DB, eventsNews)
		<-time.After(newsInterval) // what is appended meanwhile goes with the next
		h.mu.Lock()
		if !h.again {
			h.busy = false
			h.mu.Unlock()
			return
		}
		h.again = false
		h.mu.Unlock()
	}
}

// Close waits for the message under way. Whoever listens finds by looking what is announced afterwards.
func (h *Herald) Close() {
	h.mu.Lock()
	h.closed, h.again = true, false
	h.mu.Unlock()
	h.work.Wait()
}

// tell sends a message. That it could not be sent is no trouble, since nobody relies on it.
func tell(ctx context.Context, db *sql.DB, news string) {
	ctx, cancel := context.WithTimeout(ctx, newsTimeout)
	defer cancel()
	db.ExecContext(ctx, `NOTIFY `+newsChannel+`, '`+news+`'`) // words and numbers of ours only; a statement with arguments is two round trips
}

// tellOwners tells other processes that there are deliveries for their webhooks.
func tellOwners(ctx context.Context, db *sql.DB, webhooks []int64) {
	if len(webhooks) == 0 {
		return
	}
	news := []byte(madeNews)
	for _, number := range webhooks {
		if len(news) > maxNews {
			news = []byte(madeNews) // none named: all
			break
		}
		news = append(strconv.AppendInt(news, number, 10), ' ')
	}
	tell(ctx, db, string(news))
}

// Listen calls heard whenever another process says that events were appended, until ctx ends. While its connection, which is one of its own
// to the database with that connection string, was lost there may have been such a message, so then it calls heard, too.
func Listen(ctx context.Context, dsn string, log *slog.Logger, heard func()) {
	listen(ctx, dsn, log, func(news *pq.Notification) {
		if news == nil || news.Extra == eventsNews {
			heard()
		}
	})
}

// listen takes messages until ctx ends; nil stands for those that were missed while the connection was lost.
func listen(ctx context.Context, dsn string, log *slog.Logger, take func(*pq.Notification)) {
	listener := pq.NewListener(dsn, 100*time.Millisecond, time.Second, func(event pq.ListenerEventType, err error) {
		if event == pq.ListenerEventDisconnected || event == pq.ListenerEventConnectionAttemptFailed {
			log.Warn("listening for other processes failed; until it works again we look by ourselves", "error", err)
		}
	})
	context.AfterFunc(ctx, func() { listener.Close() }) // which ends the rest
	if err := listener.Listen(newsChannel); err != nil && ctx.Err() == nil {
		log.Warn("listening for other processes failed; we look by ourselves", "error", err)
	}
	for news := range listener.Notify {
		take(news)
	}
}

func (r *Relay) listen(ctx context.Context) {
	listen(ctx, r.config.ListenDSN, r.config.Logger, func(news *pq.Notification) {
		switch {
		case news == nil: // the connection was lost for a while
			r.Wake()
			r.deliverer.WakeAll()
		case news.Extra == eventsNews:
			r.Wake()
		case news.Extra == madeNews:
			r.deliverer.WakeAll()
		case strings.HasPrefix(news.Extra, madeNews):
			var webhooks []int64
			for _, field := range strings.Fields(news.Extra[len(madeNews):]) {
				if number, err := strconv.ParseInt(field, 10, 64); err == nil {
					webhooks = append(webhooks, number)
				}
			}
			r.deliverer.Wake(webhooks)
		}
	})
}
