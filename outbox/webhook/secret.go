package webhook

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/waybill-dev/waybill/outbox/profile"
)

// Secret signs what a webhook is sent. It prints as a placeholder everywhere, so that it cannot slip into a log or a list; only
// [Secret.Reveal] shows it.
type Secret string

const hidden = "(secret)"

// NewSecret returns a random secret in the form of the Standard Webhooks specification.
func NewSecret() Secret { return Secret(profile.NewStandardSecret()) }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string               { return hidden }
func (s Secret) GoString() string             { return hidden }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Sealer encrypts secrets for storage, with AES-256-GCM. What it sealed names the master key by its fingerprint, so that keys can be
// replaced, and is bound to one webhook of one workspace, so that it cannot be moved to another.
type Sealer struct {
	current keyID
	keys    map[keyID]cipher.AEAD
}

// keyID is the beginning of the SHA-256 of a master key.
type keyID [4]byte

// sealedV1 begins what a Sealer makes; behind it stand the key's id, the nonce, the ciphertext and its tag.
const sealedV1 = 1

// SealError says that a stored secret cannot be opened.
type SealError struct {
	Webhook string
	Reason  string
}

func (e *SealError) Error() string {
	return fmt.Sprintf("the secret of webhook %s cannot be opened: %s", e.Webhook, e.Reason)
}

// NewSealer returns a sealer that seals with the first of some master keys, each of 32 bytes, and opens with any of them.
func NewSealer(keys ...[]byte) (*Sealer, error) {
	if len(keys) == 0 {
		return nil, errors.New("no master key")
	}
	s := &Sealer{keys: map[keyID]cipher.AEAD{}}
	for i, key := range keys {
		if len(key) != 32 {
			return nil, fmt.Errorf("master key %d has %d bytes, not 32", i+1, len(key))
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("master key %d: %w", i+1, err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("master key %d: %w", i+1, err)
		}
		sum := sha256.Sum256(key)
		id := keyID(sum[:4])
		if i == 0 {
			s.current = id
		}
		s.keys[id] = aead
	}
	return s, nil
}

// ParseMasterKeys reads master keys as they stand in configuration: each 32 bytes in base64, separated by commas, the one to seal
// with first.
func ParseMasterKeys(text string) ([][]byte, error) {
	var keys [][]byte
	for i, encoded := range strings.Split(text, ",") {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		if err != nil || len(key) != 32 {
			return nil, fmt.Errorf("master key %d is not 32 bytes in base64 (`openssl rand -base64 32` makes one)", i+1)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Seal encrypts a webhook's secret.
func (s *Sealer) Seal(workspace, webhook string, secret Secret) []byte {
	sealed := append([]byte{sealedV1}, s.current[:]...)
	return s.keys[s.current].Seal(sealed, nil, []byte(secret), owner(workspace, webhook))
}

// Open decrypts a webhook's secret. It returns a [*SealError] if it cannot.
func (s *Sealer) Open(workspace, webhook string, sealed []byte) (Secret, error) {
	if len(sealed) < 1+len(keyID{}) || sealed[0] != sealedV1 {
		return "", &SealError{Webhook: webhook, Reason: "it is damaged, or a newer program sealed it"}
	}
	id := keyID(sealed[1:5])
	aead := s.keys[id]
	if aead == nil {
		return "", &SealError{Webhook: webhook, Reason: fmt.Sprintf("it was sealed with another master key (%x)", id)}
	}
	secret, err := aead.Open(nil, nil, sealed[5:], owner(workspace, webhook))
	if err != nil {
		return "", &SealError{Webhook: webhook, Reason: "it is damaged, or belongs to another webhook"}
	}
	return Secret(secret), nil
}

// owner is what a sealed secret is bound to. A workspace's name cannot contain a zero byte, because PostgreSQL stores none.
func owner(workspace, webhook string) []byte { return []byte(workspace + "\x00" + webhook) }
