//go:build unix

package ownfolder

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGroupThatIsAUsersAlone(t *testing.T) {
	t.Parallel()
	const users = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n"
	for _, test := range []struct {
		name, users, groups string
		want                bool
	}{
		{"of one's name", users, "ann:x:1000:\n", true},
		{"with oneself listed", users, "ann:x:1000:ann\n", true},
		{"with another member", users, "ann:x:1000:bob\n", false},
		{"with another member, too", users, "ann:x:1000:ann,bob\n", false},
		{"another's first group", users + "eve:x:1002:1000::/home/eve:/bin/sh\n", "ann:x:1000:\n", false},
		{"of another name", users, "staff:x:1000:\n", false},
		{"not listed", users, "bob:x:1001:\n", false},
		{"of a user not listed", "", "ann:x:1000:\n", false},
	} {
		require.Equal(t, test.want, alone(test.users, test.groups, 1000, 1000), test.name)
	}
}
