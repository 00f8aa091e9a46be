package embedded

import "errors"

var (
	// ErrOtherVersion is returned when the data folder belongs to another major version of Postgres, or another major
	// version than the one asked for is running on it.
	ErrOtherVersion = errors.New("data folder of another Postgres version")

	// ErrNotDataFolder is returned for a folder that holds files but was not made by this package.
	ErrNotDataFolder = errors.New("not a flightbill data folder")

	// ErrShared is returned, to root only, for a folder of a user that other programs run as, too.
	ErrShared = errors.New("data folder of a shared user")

	// ErrUnreachable is returned, to root only, for a folder that the server's user cannot enter.
	ErrUnreachable = errors.New("folder is closed to the user that Postgres runs as")
)
