package profile

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const standardBody = `{"test": 2432232314}`

var (
	standardMessage = Message{ID: "msg_p5jXN8AQM9LWM0D4loKWxJek", Event: "test", Body: []byte(standardBody)}
	standardTime    = time.Unix(1614265330, 0)
)

// signed returns the headers that a profile puts on a message, by their names in lower case.
func signed(t *testing.T, p *Profile, m Message, at time.Time, secrets ...string) map[string]string {
	t.Helper()
	sign, err := p.Signer(secrets)
	check(t, err)
	header := http.Header{}
	sign(header, m, at)
	headers := map[string]string{}
	for name, values := range header {
		if len(values) != 1 || http.CanonicalHeaderKey(name) != name {
			t.Errorf("header %s: %q", name, values)
		}
		headers[strings.ToLower(name)] = values[0]
	}
	return headers
}

// The vectors of the Standard Webhooks libraries, for both kinds of signature, alone and side by side during a rotation.
func TestStandardVectors(t *testing.T) {
	t.Parallel()
	const (
		shared       = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		private      = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
		byShared     = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
		byPrivateKey = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
	)
	all := All(everything)
	for _, c := range []struct {
		secrets []string
		want    string
	}{
		{[]string{shared}, byShared},
		{[]string{private}, byPrivateKey},
		{[]string{private, shared}, byPrivateKey + " " + byShared},
		{[]string{shared, private}, byShared + " " + byPrivateKey},
	} {
		for name, prefix := range map[string]string{"native": "webhook-", "chord": "webhook-", "goody": "svix-"} {
			headers := signed(t, all[name], standardMessage, standardTime, c.secrets...)
			if headers[prefix+"id"] != standardMessage.ID || headers[prefix+"timestamp"] != "1614265330" || headers[prefix+"signature"] != c.want || len(headers) != 3 {
				t.Errorf("%s: %v, want %s", name, headers, c.want)
			}
		}
	}
	key, err := DecodePrivateKey(private)
	check(t, err)
	signature, err := base64.StdEncoding.DecodeString(byPrivateKey[len("v1a,"):])
	check(t, err)
	if !ed25519.Verify(key.Public().(ed25519.PublicKey), []byte(standardMessage.ID+".1614265330."+standardBody), signature) {
		t.Error("the vector is none of the key's")
	}
}

// The three encodings differ, and so does what is signed: worked out here once more, from each platform's documentation.
func TestPlatformVectors(t *testing.T) {
	t.Parallel()
	const newer, older = "super-secret-webhooks-verification-key", "QWZTFnMEXhqZKNmu"
	mac := func(key, text string) []byte {
		h := hmac.New(sha256.New, []byte(key))
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	base64Of, all := base64.StdEncoding.EncodeToString, All(everything)
	sum := sha256.Sum256([]byte(standardBody))
	digest := "sha-256=:" + base64Of(sum[:]) + ":"
	for _, c := range []struct {
		profile string
		secrets []string
		want    map[string]string
	}{
		{"commercelayer", []string{newer}, map[string]string{
			"x-commercelayer-topic": "test", "x-commercelayer-signature": base64Of(mac(newer, standardBody)), "webhook-id": standardMessage.ID}},
		{"commercelayer", []string{newer, older}, map[string]string{
			"x-commercelayer-topic": "test", "x-commercelayer-signature": base64Of(mac(newer, standardBody)), "webhook-id": standardMessage.ID,
			"x-commercelayer-signature-previous": base64Of(mac(older, standardBody))}},
		{"ordergroove", []string{newer}, map[string]string{"webhook-id": standardMessage.ID,
			"ordergroove-signature": "ts=1614265330,sig=" + hex.EncodeToString(mac(newer, "1614265330."+standardBody))}},
		{"ordergroove", []string{newer, older}, map[string]string{"webhook-id": standardMessage.ID,
			"ordergroove-signature": "ts=1614265330,sig=" + hex.EncodeToString(mac(newer, "1614265330."+standardBody)) +
				",sig=" + hex.EncodeToString(mac(older, "1614265330."+standardBody))}},
		{"up42", nil, map[string]string{"webhook-id": standardMessage.ID}},
		{"up42", []string{older}, map[string]string{
			"webhook-id": standardMessage.ID, "webhook-timestamp": "1614265330", "content-digest": digest,
			"signature-input": `up42-sig=("webhook-id" "webhook-timestamp" "content-digest");created=1614265330`,
			"signature":       "up42-sig=" + base64Of(mac(older, standardMessage.ID+"1614265330"+digest))}},
		{"chord", nil, map[string]string{"webhook-id": standardMessage.ID}},
	} {
		got := signed(t, all[c.profile], standardMessage, standardTime, c.secrets...)
		for name, want := range c.want {
			if got[name] != want {
				t.Errorf("%s: %s is %q, want %q", c.profile, name, got[name], want)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %v", c.profile, got)
		}
	}
	if got := signed(t, all["up42"], standardMessage, standardTime, newer, older); got["signature-previous"] != "up42-sig="+
		base64Of(mac(older, standardMessage.ID+"1614265330"+digest)) {
		t.Errorf("up42: %v", got)
	}
}

// Every attempt has a time of its own, and the same id and body.
func TestAttemptsDifferInTheirTimeOnly(t *testing.T) {
	t.Parallel()
	for name, p := range All(everything) {
		secret := p.NewSecret()
		first, second := signed(t, p, standardMessage, standardTime, secret), signed(t, p, standardMessage, standardTime.Add(time.Minute), secret)
		for _, header := range []string{"webhook-id", "svix-id"} {
			if first[header] != second[header] {
				t.Errorf("%s: %s differs", name, header)
			}
		}
		same := true
		for header := range first {
			same = same && first[header] == second[header]
		}
		if same != (name == "commercelayer") { // whose signature has no time
			t.Errorf("%s: two attempts are the same: %v", name, same)
		}
		if string(standardMessage.Body) != standardBody {
			t.Fatalf("%s: signing changed the body", name)
		}
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	for name, p := range All(everything) {
		a, b := p.NewSecret(), p.NewSecret()
		if _, err := p.Signer([]string{a, b}); err != nil || a == b || len(a) < 32 {
			t.Errorf("%s: new secrets %q and %q: %v", name, a, b, err)
		}
		if _, err := p.Signer(nil); (err == nil) != p.SecretOptional {
			t.Errorf("%s: no secret at all: %v", name, err)
		}
		for _, bad := range []string{"", "short", "with a\nline break", "with ümlaut in it", strings.Repeat("x", 257)} {
			if _, err := p.Signer([]string{a, bad}); err == nil {
				t.Errorf("%s: took %q", name, bad)
			} else if len(bad) > 5 && strings.Contains(err.Error(), bad) {
				t.Errorf("%s: the error shows the secret: %v", name, err)
			}
		}
	}
	key := "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
	for secret, valid := range map[string]bool{
		key: true, key[:20] + "A" + key[21:]: false, key[:len(key)-4]: false, "whsk_": false, "whsk_%": false, key[5:]: false, "whsec_" + key[5:]: false,
	} {
		if _, err := DecodePrivateKey(secret); (err == nil) != valid {
			t.Errorf("%s: %v", secret, err)
		}
	}
}

// Signing is safe for concurrent use.
func TestSignersAreShared(t *testing.T) {
	t.Parallel()
	for name, p := range All(everything) {
		sign, err := p.Signer([]string{p.NewSecret()})
		check(t, err)
		want := http.Header{}
		sign(want, standardMessage, standardTime)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 50 {
					got := http.Header{}
					sign(got, standardMessage, standardTime)
					for header := range want {
						if got.Get(header) != want.Get(header) {
							t.Errorf("%s: %s differs", name, header)
						}
					}
				}
			})
		}
		group.Wait()
	}
}

func FuzzDecodeStandardSecret(f *testing.F) {
	f.Add("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	f.Add("whsec_")
	f.Add("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==")
	f.Fuzz(func(t *testing.T, secret string) {
		key, err := DecodeStandardSecret(secret)
		if err == nil && (len(key) < 24 || len(key) > 64 || !strings.HasPrefix(secret, SecretPrefix)) {
			t.Errorf("%q is taken for %d bytes", secret, len(key))
		}
		private, privateErr := DecodePrivateKey(secret)
		if err == nil && privateErr == nil {
			t.Errorf("%q is taken for both", secret)
		}
		_, signErr := StandardSigner([]string{secret})
		if (signErr == nil) != (err == nil || privateErr == nil) {
			t.Errorf("%q: %v, %v, but signing says %v", secret, err, privateErr, signErr)
		}
		if privateErr == nil && !ed25519.Verify(private.Public().(ed25519.PublicKey), []byte("m"), ed25519.Sign(private, []byte("m"))) {
			t.Errorf("%q makes signatures that its public half does not know", secret)
		}
	})
}

func FuzzPlainSecrets(f *testing.F) {
	f.Add("QWZTFnMEXhqZKNmu")
	f.Add("super-secret-webhooks-verification-key")
	f.Fuzz(func(t *testing.T, secret string) {
		for _, p := range []*Profile{CommerceLayer(nil), Ordergroove(nil), UP42(nil)} {
			sign, err := p.Signer([]string{secret})
			if err != nil {
				continue
			}
			header := http.Header{}
			sign(header, standardMessage, standardTime)
			for name, values := range header {
				if strings.ContainsAny(values[0], "\r\n") || strings.Contains(values[0], secret) {
					t.Errorf("%s: header %s: %q", p.Name, name, values[0])
				}
			}
		}
	})
}
