package main

import "github.com/spf13/cobra"

// newHelpTopics are pages of "bareroot help" that belong to no verb.
func newHelpTopics() []*cobra.Command {
	return []*cobra.Command{
		{
			Use:   "exit-codes",
			Short: "What the exit codes mean",
			Long: `Exit codes, the same for every verb:

    0  done
    1  it was tried and failed: the order failed, the image is damaged, the answer
       made no sense
    2  the command line is wrong, or a file given on it
    3  the server does not answer
    4  the thing named does not exist
    5  refused: not approved, data in the way, a conflict, no permission, or a
       question that was not answered with yes
  130  interrupted; an order that was placed goes on

A reason always goes to standard error, as one line that starts with "bareroot:",
with a hint on a line of its own where there is one.`,
		},
		{
			Use:   "environment",
			Short: "Environment variables and where the server is found",
			Long: `The server is, in this order: --server, $BAREROOT_SERVER,
unix:///var/lib/bareroot/admin.sock. The token for http and https is in the file
named by --token-file or $BAREROOT_TOKEN_FILE; the server makes one at its first
start (admin.token in its state directory). A token is not sent over plain http
to another machine: use https, or an ssh tunnel to the server's loopback.

  BAREROOT_SERVER       unix:///path, http://host:port or https://host:port
  BAREROOT_TOKEN_FILE   file with the bearer token
  SSL_CERT_FILE         certificates to trust for https, instead of the system's
  TERM=dumb             lines instead of progress bars`,
		},
	}
}
