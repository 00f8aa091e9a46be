// Package embedded runs a Postgres server of flightbill's own, for when DATABASE_URL is not set and for tests.
//
// Its duties:
//
//   - Start a server on a data folder, or find the one that another process already runs there and use it.
//   - End the server with the process that started it, however that process ends; tell those that found it.
//   - Run as root too, where Postgres itself refuses to.
//   - Download the Postgres binaries once, whatever the number of processes that want them; run only those whose checksum
//     this package has, from a folder that nobody but their user and root can change.
//   - Start again after a crash of anything, and never delete a cluster.
//
// # The holder
//
// The server is never a child of the process that wants it, but of a second copy of that process, the holder, which
// [Main] turns into one:
//
//	flightbill ──stdin──▶ holder ──pg_ctl──▶ postgres
//	           ◀─stdout──
//
// The holder waits until its standard input ends, then stops Postgres. The kernel closes the other end of that pipe when
// flightbill ends, by whatever cause, kill -9 included. The holder has a session of its own, so that Ctrl-C in a terminal
// reaches flightbill alone, which still needs the database while it shuts down.
//
// A holder that is itself killed leaves Postgres running. Its parent then stops Postgres when it ends orderly; else the
// next Start on the folder does, before it starts anew: a server that nobody holds would never end.
//
// # The data folder
//
//	data/            the cluster
//	password         of user flightbill, made with the cluster
//	flightbill.lock  locked (flock) by the holder for the life of the server
//	server.json      the port, while the server runs
//	log/             the server's log, one file a weekday
//	tmp/             scratch, emptied at each start
//	cache/           the binaries, where there is no better place
//
// The lock says whether a server is running, so a server.json left by a crash or a reboot misleads nobody: it is read
// only while someone holds the lock, and believed only once a connection with the cluster's password succeeds.
//
// # Root
//
// Root's holder becomes another user for good before it serves: the owner of the data folder, or for a new one the user
// flightbill, or a user id that nobody else has. As that user another copy of it downloads and unpacks the binaries. Root
// itself only makes their folder, and the one that initdb writes to where /etc/passwd does not list the user: initdb asks for
// its name. Then initdb runs as nobody, with the group that no other process has, in a folder that only this group enters.
package embedded
