package db

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What a server or a role cannot easily be made to lack here.
func TestCanMigrate(t *testing.T) {
	t.Parallel()
	fine := surroundings{newest: 13, user: `"app-1"`, schema: true, mayMake: true, mayUse: true, owns: true}
	require.NoError(t, fine.canMigrate())
	for want, change := range map[string]func(*surroundings){
		"read-only":                            func(s *surroundings) { s.readOnly = true },
		"lacks Postgres' extension btree_gist": func(s *surroundings) { s.newExtension, s.noExtension = true, true },
		"CREATE ROLE flightbill_enqueuer":      func(s *surroundings) { s.missingRoles = "CREATE ROLE flightbill_enqueuer NOLOGIN" },
	} {
		s := fine
		change(&s)
		err := s.canMigrate()
		require.ErrorIs(t, err, ErrCannotMigrate)
		require.ErrorContains(t, err, want)
	}
	// Nothing is to be done: what a reader lacks does not matter.
	done := surroundings{applied: 13, newest: 13, river: RiverVersion, readOnly: true}
	require.NoError(t, done.canMigrate())
}
