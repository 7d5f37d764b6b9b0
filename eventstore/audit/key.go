package audit

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
)

// KeyError says that a text is not a key of the kind that was wanted.
type KeyError struct {
	Public bool // whether a public key was wanted, or a signing key
}

func (e *KeyError) Error() string {
	if e.Public {
		return fmt.Sprintf("not a public key: want %d bytes in base64, as `waybill audit key` prints them", ed25519.PublicKeySize)
	}
	return fmt.Sprintf("not a signing key: want an ed25519 seed of %d bytes in base64, as `waybill audit key` makes them", ed25519.SeedSize)
}

// NewKey makes a signing key.
func NewKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(nil)
	return key, err
}

// FormatKey writes a signing key as [ParseKey] reads it: its seed in base64.
func FormatKey(key ed25519.PrivateKey) string { return base64.StdEncoding.EncodeToString(key.Seed()) }

// ParseKey reads a signing key. It returns a [*KeyError], which does not quote the text.
func ParseKey(text string) (ed25519.PrivateKey, error) {
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, &KeyError{}
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// FormatPublicKey writes a public key as [ParsePublicKey] reads it: in base64.
func FormatPublicKey(key ed25519.PublicKey) string { return base64.StdEncoding.EncodeToString(key) }

// ParsePublicKey reads a public key. It returns a [*KeyError].
func ParsePublicKey(text string) (ed25519.PublicKey, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, &KeyError{Public: true}
	}
	return ed25519.PublicKey(key), nil
}
