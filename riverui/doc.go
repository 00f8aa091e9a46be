// Package riverui is flightbill's HTTP side: River UI at /, with what a service
// is watched by.
//
//	/          River UI and its API       credentials, where set
//	/metrics   for Prometheus             credentials, where set, unless it is to be open
//	/readyz    200 ready, or 503          open; says why not only with credentials
//	/healthz   200 ok while it serves     open
//
// River UI comes without authentication and without protection against other web
// sites. This package
//
//   - listens on loopback, and on any other address only with credentials;
//   - refuses requests that change something and come from another site;
//   - without credentials, answers only to names of this machine, because a web
//     page whose own name is made to point to 127.0.0.1 could read everything;
//   - counts and logs wrong passwords and answers them late, and the right one at once;
//   - limits headers, bodies and connections, of which those that send nothing are
//     closed first.
//
// Loopback without credentials is open to every user of the machine. Without a
// certificate the server speaks plain HTTP, which sends credentials readably: across
// a network it then belongs behind a proxy that speaks TLS.
package riverui
