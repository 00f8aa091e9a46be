// Package local runs a whole Apache Pinot on this machine: for tests, and to try flightbill with.
//
// Its duties:
//
//   - Get Pinot's jars with Maven, once, into the user's cache folder, whatever the number of processes that want them; run
//     only those whose checksums this package has.
//   - Run ZooKeeper, a controller, brokers and servers on free ports, with all they write in one temporary folder.
//   - Make tables, load rows, and say when queries see them.
//   - Stop, kill, freeze and restart any one of the processes.
//   - Leave nothing behind, however the process ends that started the cluster.
//
// It needs Java 11 or newer, and Maven until the jars are there: see ErrNoJava. A cluster takes about 1 GB of memory and
// is up in 10 to 20 s. Nothing in it has a password. What can be bound to loopback is; the port on which a server gives
// brokers its rows cannot.
//
// # The reaper
//
// A shell, started first, reads from a pipe which processes there are. The kernel closes that pipe when the process that
// started the cluster ends, by whatever cause, kill -9 included. Then the reaper kills them and removes the folder. It
// works alike on Linux and macOS, neither of which ends a child with its parent. Each Java program is begun as a shell
// that waits for a word before it becomes Java, so that the reaper knows of it by then. All of them have sessions of
// their own: Ctrl-C in a terminal reaches only the process that started the cluster.
package local
