package profile

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What Standard Webhooks secrets begin with: a key that both sides share, or the private half of a key pair.
const (
	SecretPrefix     = "whsec_"
	PrivateKeyPrefix = "whsk_"
)

var errNoSecret = errors.New("a secret is needed")

// DecodeStandardSecret returns the key that a Standard Webhooks secret stands for: 24 to 64 bytes in base64 behind "whsec_".
func DecodeStandardSecret(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, SecretPrefix)
	if !ok {
		return nil, errors.New("a secret has to begin with " + SecretPrefix)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("behind " + SecretPrefix + " a secret has to be base64")
	}
	if len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf("a secret has to have 24 to 64 bytes, not %d", len(key))
	}
	return key, nil
}

// DecodePrivateKey returns the ed25519 key that stands in base64 behind "whsk_": its seed and its public half, 64 bytes together.
func DecodePrivateKey(secret string) (ed25519.PrivateKey, error) {
	encoded, ok := strings.CutPrefix(secret, PrivateKeyPrefix)
	if !ok {
		return nil, errors.New("a private key has to begin with " + PrivateKeyPrefix)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("behind " + PrivateKeyPrefix + " a private key has to be base64")
	}
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("a private key has to have %d bytes, not %d", ed25519.PrivateKeySize, len(key))
	}
	if !ed25519.NewKeyFromSeed(key[:ed25519.SeedSize]).Equal(ed25519.PrivateKey(key)) {
		return nil, errors.New("the two halves of the private key do not belong together")
	}
	return key, nil
}

// NewStandardSecret returns a random secret of 32 bytes in the form of the Standard Webhooks specification.
func NewStandardSecret() string {
	var key [32]byte
	rand.Read(key[:]) // never fails
	return SecretPrefix + base64.StdEncoding.EncodeToString(key[:])
}

// newHexSecret returns 32 random bytes in hex, for platforms that take the text of the secret as the key.
func newHexSecret() string {
	var key [32]byte
	rand.Read(key[:]) // never fails
	return hex.EncodeToString(key[:])
}

// StandardSigner signs as the Standard Webhooks specification says: headers webhook-id, webhook-timestamp and webhook-signature, the
// last being a signature of "id.timestamp.body" for each secret, separated by spaces: "v1," and a base64 HMAC-SHA256 where the secret
// begins with "whsec_", "v1a," and a base64 ed25519 signature where it begins with "whsk_".
func StandardSigner(secrets []string) (Sign, error) {
	return standardSigner(secrets, "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature")
}

// standardSigner takes the names of the headers in their canonical form.
func standardSigner(secrets []string, id, timestamp, signature string) (Sign, error) {
	if len(secrets) == 0 {
		return nil, errNoSecret
	}
	signers := make([]func(b []byte, prefix string, body []byte) []byte, len(secrets)) // each appends a signature
	for i, secret := range secrets {
		if strings.HasPrefix(secret, PrivateKeyPrefix) {
			key, err := DecodePrivateKey(secret)
			if err != nil {
				return nil, err
			}
			signers[i] = func(b []byte, prefix string, body []byte) []byte {
				return base64.StdEncoding.AppendEncode(append(b, "v1a,"...), ed25519.Sign(key, append([]byte(prefix), body...)))
			}
			continue
		}
		key, err := DecodeStandardSecret(secret)
		if err != nil {
			return nil, err
		}
		sum := newKeyed(key)
		signers[i] = func(b []byte, prefix string, body []byte) []byte {
			mac := sum(prefix, body)
			return base64.StdEncoding.AppendEncode(append(b, "v1,"...), mac[:])
		}
	}
	return func(header http.Header, m Message, at time.Time) {
		unix := strconv.FormatInt(at.Unix(), 10)
		prefix := m.ID + "." + unix + "."
		signatures := make([]byte, 0, len(signers)*(4+base64.StdEncoding.EncodedLen(ed25519.SignatureSize)))
		for i, sign := range signers {
			if i > 0 {
				signatures = append(signatures, ' ')
			}
			signatures = sign(signatures, prefix, m.Body)
		}
		header[id] = []string{m.ID}
		header[timestamp] = []string{unix}
		header[signature] = []string{string(signatures)}
	}, nil
}

// keyed is HMAC-SHA256 with a key, of a prefix and what follows it. It is safe for concurrent use.
type keyed func(prefix string, body []byte) [sha256.Size]byte

func newKeyed(key []byte) keyed {
	// A pool of hashes: setting one up costs as much as signing a small body.
	pool := &sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}
	return func(prefix string, body []byte) (sum [sha256.Size]byte) {
		mac := pool.Get().(hash.Hash)
		mac.Reset()
		mac.Write([]byte(prefix))
		mac.Write(body)
		mac.Sum(sum[:0])
		pool.Put(mac)
		return sum
	}
}

// plainKeys makes keys of secrets whose text is the key itself, as several platforms have it.
func plainKeys(secrets []string) ([]keyed, error) {
	keys := make([]keyed, len(secrets))
	for i, secret := range secrets {
		if len(secret) < 8 || len(secret) > 256 {
			return nil, fmt.Errorf("a secret has to have 8 to 256 bytes, not %d", len(secret))
		}
		if strings.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, errors.New("a secret has to consist of printable ASCII characters")
		}
		keys[i] = newKeyed([]byte(secret))
	}
	return keys, nil
}
