package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"

	"github.com/google/uuid"
)

// KeyError says that a key cannot be used, and so the personal data that is sealed with it cannot be read.
type KeyError struct {
	Key    uuid.UUID
	Reason string
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("personal data that is sealed with key %s cannot be read: %s", e.Key, e.Reason)
}

// wrapper encrypts keys for storage. What it made begins with one of these:
const (
	storedPlain   = 0 // the key itself follows
	storedWrapped = 1 // the beginning of the SHA-256 of the master key, the nonce, the ciphertext and its tag follow
)

const keySize = 32

type wrapper struct {
	current masterID
	masters map[masterID]cipher.AEAD // none where keys are to be stored as they are
}

type masterID [4]byte

// newWrapper wraps with the first of some master keys, and unwraps with any of them.
func newWrapper(masters [][]byte) (wrapper, error) {
	w := wrapper{masters: map[masterID]cipher.AEAD{}}
	for i, master := range masters {
		if len(master) != keySize {
			return w, fmt.Errorf("master key %d has %d bytes, not %d", i+1, len(master), keySize)
		}
		sum := sha256.Sum256(master)
		id := masterID(sum[:])
		if i == 0 {
			w.current = id
		}
		w.masters[id] = newAEAD(master)
	}
	return w, nil
}

func (w wrapper) wrap(workspace string, id uuid.UUID, key []byte) []byte {
	master := w.masters[w.current]
	if master == nil {
		return append([]byte{storedPlain}, key...)
	}
	return master.Seal(append([]byte{storedWrapped}, w.current[:]...), nil, key, place(workspace, id.String()))
}

// unwrap returns a [*KeyError] if it cannot.
func (w wrapper) unwrap(workspace string, id uuid.UUID, stored []byte) ([]byte, error) {
	switch {
	case len(stored) == 1+keySize && stored[0] == storedPlain:
		return stored[1:], nil
	case len(stored) < 1+len(masterID{}) || stored[0] != storedWrapped:
		return nil, &KeyError{id, "it is damaged, or a newer program stored it"}
	case len(w.masters) == 0:
		return nil, &KeyError{id, "it is encrypted with the master key, and this process has none: set Config.MasterKey, or WAYBILL_MASTER_KEY for the command line"}
	}
	master := w.masters[masterID(stored[1:])]
	if master == nil {
		return nil, &KeyError{id, fmt.Sprintf("it is encrypted with another master key (%x) than this process has", stored[1:5])}
	}
	key, err := master.Open(nil, nil, stored[5:], place(workspace, id.String()))
	if err != nil || len(key) != keySize {
		return nil, &KeyError{id, "it is damaged, or belongs to another workspace"}
	}
	return key, nil
}

// newAEAD is AES-256-GCM with a random nonce before each ciphertext.
func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the length is right
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// place is what a ciphertext is bound to. The last part may be anything, the others contain no zero byte, because PostgreSQL stores none.
func place(parts ...string) []byte {
	b := append(make([]byte, 0, 128), "waybill"...)
	for _, p := range parts {
		b = append(append(b, 0), p...)
	}
	return b
}
