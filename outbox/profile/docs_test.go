package profile

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The tables of docs/profiles.md say what the profiles are. -update writes them anew.
func TestDocs(t *testing.T) {
	t.Parallel()
	const path = "../../docs/profiles.md"
	text, err := os.ReadFile(path)
	check(t, err)
	all := All(everything)
	seen := 0
	section := regexp.MustCompile(`(?s)<!-- (policies|events:[a-z0-9]+) -->\n.*?<!-- end -->`)
	got := section.ReplaceAllFunc(text, func(old []byte) []byte {
		seen++
		name := string(section.FindSubmatch(old)[1])
		table := policies(all)
		if profile, ok := strings.CutPrefix(name, "events:"); ok {
			if all[profile] == nil {
				t.Fatalf("there is no profile %s", profile)
			}
			table = eventTable(all[profile])
		}
		return fmt.Appendf(nil, "<!-- %s -->\n%s<!-- end -->", name, table)
	})
	if seen != len(all)+1 {
		t.Errorf("%d tables for %d profiles", seen, len(all))
	}
	if *update {
		check(t, os.WriteFile(path, got, 0o644))
	} else if !bytes.Equal(got, text) {
		t.Error("docs/profiles.md is not what the profiles are: go test ./outbox/profile -run TestDocs -update")
	}
}

func policies(all Set) string {
	var b strings.Builder
	b.WriteString("| profile | no event named | success | timeout | retries | failures in a row | secret |\n|---|---|---|---|---|---|---|\n")
	for _, name := range all.Names() {
		p := all[name]
		filter, secret := "is an error", "needed"
		if p.All {
			filter = "means all"
		}
		if p.SecretOptional {
			secret = "optional"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", name, filter, successes(p), short(p.Timeout), retries(p.Schedule), circuit(p.Circuit), secret)
	}
	return b.String()
}

func successes(p *Profile) string {
	var codes []string
	for status := 200; status < 300; status++ {
		if p.Success(status) {
			codes = append(codes, fmt.Sprint(status))
		}
	}
	if len(codes) == 100 {
		return "2xx"
	}
	return strings.Join(codes, ", ")
}

func retries(s Schedule) string {
	if s.Sweep > 0 {
		return fmt.Sprintf("%d, every %s", s.MaxRetries, short(s.Sweep))
	}
	pauses := make([]string, len(s.Pauses))
	for i, pause := range s.Pauses {
		pauses[i] = short(pause)
	}
	return fmt.Sprintf("%d: %s", len(pauses), strings.Join(pauses, ", "))
}

func circuit(c Circuit) string {
	var parts []string
	if c.NoticeAt > 0 {
		parts = append(parts, fmt.Sprintf("notice at %d", c.NoticeAt))
	}
	if c.OpenAt > 0 {
		parts = append(parts, fmt.Sprintf("stop at %d, until it is reset", c.OpenAt))
	}
	if c.DisableAfter > 0 {
		parts = append(parts, fmt.Sprintf("disabled after %d days", c.DisableAfter/(24*time.Hour)))
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, "; ")
}

// short writes a duration without the units that are zero, such as "5m".
func short(d time.Duration) string {
	s := d.String()
	for _, rest := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, rest) {
			s = s[:len(s)-2]
		}
	}
	return s
}

func eventTable(p *Profile) string {
	var b strings.Builder
	b.WriteString("| event | when | from the log's |\n|---|---|---|\n")
	for _, e := range p.Events {
		if p.Name == "native" { // whose names are the log's
			fmt.Fprintf(&b, "| `%s` | %s | the same |\n", e.Name, e.Description)
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s | `%s` |\n", e.Name, e.Description, strings.Join(e.Types, "`, `"))
	}
	if len(p.Includes) > 0 {
		fmt.Fprintf(&b, "\nCan be included: `%s`.\n", strings.Join(p.Includes, "`, `"))
	}
	return b.String()
}
