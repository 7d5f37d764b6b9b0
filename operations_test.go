package waybill_test

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-dev/waybill"
)

// docs/operations.md lists every metric, and none that does not exist.
func TestOperationsListsTheMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	engine, _ := newEngine(t, waybill.Config{MasterKey: bytes.Repeat([]byte{7}, 32), Metrics: registry})
	if _, err := engine.Relay(); err != nil {
		t.Fatal(err)
	}
	descriptions := make(chan *prometheus.Desc, 1000)
	registry.Describe(descriptions)
	close(descriptions)
	var exist []string
	for d := range descriptions {
		exist = append(exist, regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(d.String())[1])
	}
	page, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(waybill_\\w+)` \\|").FindAllSubmatch(page, -1) {
		listed = append(listed, string(row[1]))
	}
	slices.Sort(exist)
	slices.Sort(listed)
	if exist = slices.Compact(exist); !slices.Equal(exist, listed) {
		t.Errorf("there are the metrics\n%q\ndocs/operations.md lists\n%q", exist, listed)
	}
}
