package vault

import (
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// memory keeps keys for a while.
type memory struct {
	ttl   time.Duration
	watch func() time.Time

	mu      sync.Mutex
	keys    *simplelru.LRU[uuid.UUID, *key]
	current *simplelru.LRU[owner, *key]
}

type owner struct {
	workspace string
	subject   Subject
}

func (m *memory) init(config Config) (err error) {
	m.ttl, m.watch = config.TTL, config.Watch
	if m.keys, err = simplelru.NewLRU[uuid.UUID, *key](config.Size, nil); err == nil {
		m.current, err = simplelru.NewLRU[owner, *key](config.Size, nil)
	}
	return err
}

// known returns those of some keys that were read no longer than so long ago, and the ids of the others. A key that was destroyed stays so.
func (m *memory) known(ids []uuid.UUID, age time.Duration) (keys map[uuid.UUID]*key, missing []uuid.UUID) {
	keys = make(map[uuid.UUID]*key, len(ids))
	now := m.watch()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if _, seen := keys[id]; seen {
			continue
		}
		k, ok := m.keys.Get(id)
		if ok && (k.aead == nil || now.Sub(k.fetched) < age) {
			keys[id] = k
		} else {
			keys[id] = &key{} // so that it is missing once
			missing = append(missing, id)
		}
	}
	return keys, missing
}

// keep keeps a key, unless it is known that it was destroyed since it was read, or it cannot be used. It returns what is known of it now.
func (m *memory) keep(k *key) *key {
	if k.err != nil {
		return k
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if before, ok := m.keys.Get(k.id); ok && before.aead == nil {
		return before
	}
	m.keys.Add(k.id, k)
	return k
}

func (m *memory) currentOf(o owner) *key {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.current.Get(o)
	if !ok || m.watch().Sub(k.fetched) >= m.ttl {
		return nil
	}
	if now, ok := m.keys.Get(k.id); ok && now.aead == nil {
		return nil
	}
	return k
}

func (m *memory) keepCurrent(o owner, k *key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current.Add(o, k)
}

func (m *memory) dropCurrent(o owner) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current.Remove(o)
}

func (m *memory) forget(ids []uuid.UUID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		m.keys.Add(id, &key{id: id})
	}
}
