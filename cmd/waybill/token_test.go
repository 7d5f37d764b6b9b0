package main

import (
	"strings"
	"testing"

	"github.com/waybill-dev/waybill/internal/pgtest"
)

func TestGoldenTokens(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	c := on(db.DSN)
	delete(c.env, "WAYBILL_MASTER_KEY") // tokens are no secrets of webhooks
	step := func(name, line string) {
		t.Helper()
		args := strings.Fields(line)
		c.run(t, args...).golden(t, name, args...)
	}
	step("token-list-none", "token list")
	step("token-create", "token create --scope write --name backend")
	step("token-create-json", "token create --scope read -o json")
	step("token-create-bad-name", "token create --scope read --name "+strings.Repeat("x", 101))
	step("token-list", "token list")
	step("token-list-json", "token list -o json")
	step("token-list-elsewhere", "token list --workspace other")
	var id string
	if err := db.QueryRow(`SELECT id FROM tokens WHERE scope = 'read'`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	step("token-revoke-elsewhere", "token revoke --workspace other "+id)
	step("token-revoke", "token revoke "+id)
	step("token-revoke-none", "token revoke tok_none -o json")
	step("token-revoke-itself", "token revoke wbt_0000000000000000_hunter2")
	step("token-list-revoked", "token list")
}
