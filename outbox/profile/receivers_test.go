package profile

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	svix "github.com/svix/svix-webhooks/go"
)

// receivers verify as somebody would who knows the platform's documentation and nothing of Waybill: with the platform's library where it
// has one. Each returns the name of the event that it understood.
var receivers = map[string]func(secret string, header http.Header, body []byte) (event string, err error){
	"native": func(secret string, header http.Header, body []byte) (string, error) {
		w, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return "", err
		}
		return field1(body, "type"), w.Verify(body, header)
	},
	"chord": func(secret string, header http.Header, body []byte) (string, error) {
		w, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return "", err
		}
		return field1(body, "event_name"), w.Verify(body, header)
	},
	"goody": func(secret string, header http.Header, body []byte) (string, error) {
		w, err := svix.NewWebhook(secret)
		if err != nil {
			return "", err
		}
		return field1(body, "event_type"), w.Verify(body, header)
	},
	"commercelayer": func(secret string, header http.Header, body []byte) (string, error) {
		if header.Get("X-CommerceLayer-Signature") != base64.StdEncoding.EncodeToString(sum(secret, body)) {
			return "", errors.New("another signature")
		}
		return header.Get("X-CommerceLayer-Topic"), nil
	},
	"ordergroove": func(secret string, header http.Header, body []byte) (string, error) {
		parts := strings.Split(header.Get("Ordergroove-Signature"), ",")
		ts, ok := strings.CutPrefix(parts[0], "ts=")
		if !ok {
			return "", errors.New("no timestamp")
		}
		want := "sig=" + hex.EncodeToString(sum(secret, []byte(ts+"."), body))
		for _, part := range parts[1:] {
			if part == want {
				return field1(body, "type"), nil
			}
		}
		return "", errors.New("another signature")
	},
	"up42": func(secret string, header http.Header, body []byte) (string, error) {
		match := regexp.MustCompile(`up42-sig=\((.*)\);created=(\d{10,20})`).FindStringSubmatch(header.Get("Signature-Input"))
		if match == nil {
			return "", errors.New("no signature input")
		}
		var text string
		for _, name := range regexp.MustCompile(`[^"\s]+`).FindAllString(match[1], -1) {
			text += header.Get(name)
		}
		if _, signature, _ := strings.Cut(header.Get("Signature"), "="); signature != base64.StdEncoding.EncodeToString(sum(secret, []byte(text))) {
			return "", errors.New("another signature")
		}
		digest := sha256.Sum256(body)
		if header.Get("Content-Digest") != "sha-256=:"+base64.StdEncoding.EncodeToString(digest[:])+":" {
			return "", errors.New("another body")
		}
		return field1(body, "event"), nil
	},
}

func sum(secret string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func field1(body []byte, name string) string {
	var fields map[string]json.RawMessage
	var value string
	if json.Unmarshal(body, &fields) != nil || json.Unmarshal(fields[name], &value) != nil {
		return ""
	}
	return value
}

// Every sample life goes through every profile to a receiver over HTTP, which accepts each message, with the old secret as with the new
// one where the platform has room for both, and refuses it once a byte of it is another.
func TestReceiversAcceptWholeLives(t *testing.T) {
	t.Parallel()
	occurrences, err := sampler(everything)()
	check(t, err)
	for name, p := range All(everything) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newer, older := p.NewSecret(), p.NewSecret()
			sign, err := p.Signer([]string{newer, older})
			check(t, err)
			onlyNewest := name == "commercelayer" || name == "up42"
			received := map[string]int{}
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				event, err := receivers[name](newer, r.Header, body)
				if err != nil || event == "" {
					t.Errorf("refused: %v\n%s", err, body)
				}
				received[event]++
				if _, err := receivers[name](older, r.Header, body); (err != nil) != onlyNewest {
					t.Errorf("with the old secret: %v", err)
				}
				spoilt := bytes.Replace(body, []byte(`"`), []byte(`'`), 1)
				if _, err := receivers[name](newer, r.Header, spoilt); err == nil {
					t.Error("accepted another body")
				}
				if _, err := receivers[name](p.NewSecret(), r.Header, body); err == nil {
					t.Error("accepted the signature of another secret")
				}
			}))
			defer server.Close()
			sent := map[string]int{}
			for _, m := range told(t, p, occurrences) {
				request, err := http.NewRequest(http.MethodPost, server.URL, bytes.NewReader(m.Body))
				check(t, err)
				sign(request.Header, m, time.Now())
				response, err := http.DefaultClient.Do(request)
				check(t, err)
				check(t, response.Body.Close())
				sent[m.Event]++
			}
			if len(sent) != len(p.Events) || fmt.Sprint(sent) != fmt.Sprint(received) {
				t.Errorf("of %d events were\nsent     %v\nreceived %v", len(p.Events), sent, received)
			}
		})
	}
}

// The libraries that receivers in JavaScript use accept our signatures: those of npm, run by node. Versions are pinned by a lock file.
func TestNodeLibrariesVerify(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed, so the JavaScript libraries cannot be asked (apt-get install nodejs npm)", program)
		}
	}
	dir := nodeModules(t)
	type request struct {
		Profile string            `json:"profile"`
		Secret  string            `json:"secret"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
		valid   bool
	}
	var requests []request
	now := time.Now()
	for name, p := range All(everything) {
		secret, old := p.NewSecret(), p.NewSecret()
		for _, e := range p.Events {
			o, err := p.Sample(e.Name)
			check(t, err)
			m, err := p.Render(o)
			check(t, err)
			requests = append(requests, request{name, secret, signed(t, p, m, now, secret), string(m.Body), true})
		}
		m := Message{ID: "msg_1", Event: "a.b", Body: []byte(`{"ü":"<&>"}`)}
		both := signed(t, p, m, now, secret, old)
		requests = append(requests,
			request{name, secret, both, string(m.Body), true},
			request{name, old, both, string(m.Body), name != "commercelayer" && name != "up42"},
			request{name, secret, both, string(m.Body) + " ", false},
			request{name, p.NewSecret(), both, string(m.Body), false})
	}
	input, err := json.Marshal(requests)
	check(t, err)
	command := exec.Command("node", "verify.mjs")
	command.Dir, command.Stdin, command.Stderr = dir, bytes.NewReader(input), os.Stderr
	output, err := command.Output()
	check(t, err)
	var results []*string
	check(t, json.Unmarshal(output, &results))
	if len(results) != len(requests) {
		t.Fatalf("%d results for %d requests", len(results), len(requests))
	}
	for i, r := range requests {
		if (results[i] == nil) != r.valid {
			t.Errorf("%s: %v, want valid %v: %v %s", r.Profile, results[i], r.valid, r.Headers, r.Body)
		}
	}
}

// nodeModules returns a directory with testdata/npm and what its lock file names. It stays from one run to the next.
func nodeModules(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	lock, err := os.ReadFile("testdata/npm/package-lock.json")
	check(t, err)
	digest := sha256.Sum256(lock)
	dir := filepath.Join(cache, "waybill-test-npm-"+hex.EncodeToString(digest[:8]))
	check(t, os.MkdirAll(dir, 0o755))
	for _, name := range []string{"package.json", "package-lock.json", "verify.mjs"} {
		text, err := os.ReadFile(filepath.Join("testdata/npm", name))
		check(t, err)
		check(t, os.WriteFile(filepath.Join(dir, name), text, 0o644))
	}
	installed := filepath.Join(dir, "node_modules", ".installed")
	if _, err := os.Stat(installed); err == nil {
		return dir
	}
	command := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	command.Dir = dir
	if output, err := command.CombinedOutput(); err != nil {
		for _, sign := range []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH"} {
			if bytes.Contains(output, []byte(sign)) {
				t.Skipf("npm cannot reach its registry, so the JavaScript libraries cannot be asked:\n%s", output)
			}
		}
		t.Fatalf("npm ci: %v\n%s", err, output)
	}
	check(t, os.WriteFile(installed, nil, 0o644))
	return dir
}
