package httpapi_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// The OpenAPI document is one, by the judgement of a library that has nothing to do with the one that made it, and says of every
// operation what a client has to know.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.do(request{method: "GET", path: "/openapi.json", header: map[string]string{"Authorization": ""}})
	loader := openapi3.NewLoader()
	document, err := loader.LoadFromData([]byte(r.body))
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	if document.OpenAPI != "3.1.0" {
		t.Errorf("version %s", document.OpenAPI)
	}
	for path, item := range document.Paths.Map() {
		for method, o := range item.Operations() {
			name := method + " " + path
			if o.OperationID == "" || o.Summary == "" || len(o.Tags) != 1 || o.Security == nil {
				t.Errorf("%s: no name, summary, tag or security", name)
			}
			if o.Responses.Default() == nil {
				t.Errorf("%s does not say what errors look like", name)
			}
			// What is documented is served, and not without a token.
			for _, part := range []string{"{workspace}", "{webhook}", "{order}", "{delivery}"} {
				path = strings.ReplaceAll(path, part, "x")
			}
			if r := k.do(request{method: method, path: path, header: map[string]string{"Authorization": ""}}); r.status != 401 {
				t.Errorf("%s without a token: %d", name, r.status)
			}
			if r := k.do(request{method: method, path: path}); r.status == 405 || r.status >= 500 {
				t.Errorf("%s: %d %s", name, r.status, r.body)
			}
		}
	}
}

// The document as it was looked at last, so that every change of the API is seen, and the client that oapi-codegen makes of it.
func TestClientGolden(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(k.get("/openapi.json").body), "", "  "); err != nil {
		t.Fatal(err)
	}
	document := filepath.Join("testdata", "openapi.json")
	golden(t, document, append(indented.Bytes(), '\n'))

	made := filepath.Join(t.TempDir(), "client.gen.go")
	command := exec.Command("go", "tool", "oapi-codegen", "-config", "internal/client/config.yaml", "-o", made, document)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("oapi-codegen: %v\n%s", err, output)
	}
	code, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("internal", "client", "client.gen.go"), code)
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./httpapi -run Golden -update writes it)", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what it was (go test ./httpapi -run Golden -update accepts it)", path)
	}
}
