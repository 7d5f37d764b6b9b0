package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What differs from run to run, and what stands for it in the documentation: where there is a list, the first thing is called the first name, and so on.
var documented = []struct {
	pattern *regexp.Regexp
	name    func(n int) string
}{
	{regexp.MustCompile(`wh_[0-9a-z]{26}`), func(n int) string {
		return []string{"wh_0d8n4cxfw1q2v7r9kz3m5p6t8b", "wh_1n6w0m3t9s8b7q4e5d2c1r0p9v"}[n]
	}},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`), func(n int) string {
		return fmt.Sprintf("019f1f5c-7d2e-7b3c-9a4b-%012d", n+1)
	}},
	{regexp.MustCompile(`whsec_[A-Za-z0-9+/=]{44}`), func(int) string { return "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }},
	{regexp.MustCompile(`20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z`), func(int) string { return "2026-07-01T15:04:05.123456Z" }},
	{regexp.MustCompile(`"day": "20[0-9]{2}-[0-9]{2}-[0-9]{2}"`), func(int) string { return `"day": "2026-07-01"` }},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), func(int) string { return "6f1c0a3b…" }},
	{regexp.MustCompile(`"Date": "[^"]+"`), func(int) string { return `"Date": "Wed, 01 Jul 2026 15:04:05 GMT"` }},
	{regexp.MustCompile(`"(latencyMs|durationMs)": [0-9]+`), func(int) string { return "" }},
}

// Every example of docs/http-api.md is sent to a server, and answered as it says there. A line … stands for lines that are left out. With -update
// answers are written anew where they leave nothing out.
func TestDocs(t *testing.T) {
	t.Parallel()
	const path = "../docs/http-api.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```http\n(.*?)```").FindAllStringSubmatchIndex(string(text), -1)
	if len(blocks) < 20 || len(blocks)%2 != 0 {
		t.Fatalf("%d examples", len(blocks))
	}
	k := newKit(t)
	at := receiver(t)
	k.relay()

	k.follow()
	actual := map[string]string{"https://shop.example.com/hooks": at.URL + "/takes"} // by what stands for it
	names := map[string]string{at.URL + "/takes": "https://shop.example.com/hooks"}
	counts := make([]int, len(documented))
	disguise := func(answer string) string {
		for real, name := range names {
			answer = strings.ReplaceAll(answer, real, name)
		}
		for i, d := range documented {
			answer = d.pattern.ReplaceAllStringFunc(answer, func(real string) string {
				if strings.HasPrefix(real, `"latencyMs"`) || strings.HasPrefix(real, `"durationMs"`) {
					return real[:strings.Index(real, ":")] + ": 12"
				}
				for name, known := range actual {
					if known == real || name == real {
						return name
					}
				}
				name := d.name(counts[i])
				counts[i]++
				if i < 2 {
					actual[name] = real
				}
				return name
			})
		}
		return answer
	}

	var page strings.Builder
	end := 0
	for i := 0; i < len(blocks); i += 2 {
		asked, want := string(text[blocks[i][2]:blocks[i][3]]), string(text[blocks[i+1][2]:blocks[i+1][3]])
		for name, real := range actual {
			asked = strings.ReplaceAll(asked, name, real)
		}
		if strings.Contains(asked, "/deliveries") {
			k.eventually("it is delivered", func() bool {
				var open, attempts int
				err := k.db.QueryRow(`SELECT (SELECT count(*) FROM deliveries), (SELECT count(*) FROM attempts WHERE outcome = 'delivered' AND position > 0)`).Scan(&open, &attempts)
				return err == nil && open == 0 && attempts > 0
			})
		}
		k.settle()
		k.seen()
		r := k.do(parseExample(t, asked))
		got := fmt.Sprintf("%d %s\n", r.status, http.StatusText(r.status))
		if r.body != "" {
			var indented bytes.Buffer
			if err := json.Indent(&indented, []byte(r.body), "", "  "); err != nil {
				t.Fatalf("%s%v: %s", asked, err, r.body)
			}
			got += "\n" + disguise(indented.String()) + "\n"
		}
		if strings.Contains(asked, "Idempotency-Key: shop-1") {
			k.order("ord_1") // of which the webhook is told
			k.toPicking("ord_1")
		}
		if !matches(got, want) {
			if !*update {
				t.Errorf("%sis answered with\n%swhich the documentation does not say (go test ./httpapi -run Docs -update): it says\n%s", asked, got, want)
			}
			want = got
		}
		page.Write(text[end:blocks[i+1][2]])
		page.WriteString(want)
		end = blocks[i+1][3]
	}
	page.Write(text[end:])
	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func parseExample(t *testing.T, text string) request {
	t.Helper()
	head, body, _ := strings.Cut(strings.TrimSpace(text), "\n\n")
	lines := strings.Split(head, "\n")
	method, path, ok := strings.Cut(lines[0], " ")
	if !ok {
		t.Fatalf("not a request: %s", text)
	}
	r := request{method: method, path: path, body: body, header: map[string]string{}}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		r.header[name] = value
	}
	return r
}

// matches compares an answer with one that may leave lines out.
func matches(got, want string) bool {
	var pattern strings.Builder
	for line := range strings.Lines(want) {
		if line == "…\n" {
			pattern.WriteString("(?s:.*)")
		} else {
			pattern.WriteString(regexp.QuoteMeta(line))
		}
	}
	return regexp.MustCompile("^" + pattern.String() + "$").MatchString(got)
}

// The documentation names every code that an error can have.
func TestDocsNameEveryCode(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/http-api.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, match := range regexp.MustCompile(`\bCode(?::|, p\.Message =) +"([a-z_]+)"`).FindAllStringSubmatch(string(code), -1) {
			found++
			name := match[1]
			if name == "database_" {
				name = "database_…"
			}
			if !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("docs/http-api.md does not name the code %s of %s", name, file)
			}
		}
	}
	if found < 15 {
		t.Errorf("found %d codes only", found)
	}
}
