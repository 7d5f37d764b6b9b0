package migrations_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/waybill-dev/waybill/internal/pgtest"
	"github.com/waybill-dev/waybill/migrations"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestManyMigrateAtOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t).DB
	if err := migrations.Check(t.Context(), db); !errors.As(err, new(*migrations.PendingError)) {
		t.Errorf("an empty database: %v", err)
	}
	if list, err := migrations.Status(t.Context(), db); err != nil || len(list) == 0 || list[0].Applied {
		t.Errorf("status of an empty database: %+v, %v", list, err)
	}
	var tables int
	if err := db.QueryRow(`SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`).Scan(&tables); err != nil || tables != 0 {
		t.Errorf("a look made %d tables, %v", tables, err)
	}

	var mu sync.Mutex
	applied := 0
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			list, err := migrations.Up(t.Context(), db)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			applied += len(list)
		})
	}
	wg.Wait()
	list, err := migrations.Status(t.Context(), db)
	if err != nil || applied != len(list) {
		t.Errorf("%d migrations were applied, there are %d, %v", applied, len(list), err)
	}
	for _, m := range list {
		if !m.Applied {
			t.Errorf("%s is not applied", m.Name)
		}
	}
	if err := migrations.Check(t.Context(), db); err != nil {
		t.Error(err)
	}
}
