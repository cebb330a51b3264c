// Package agentapi is the machines' side of the provisioning door: the agent
// protocol of package api under /agent/v1/, and system images under /images/.
package agentapi

import (
	"log/slog"
	"net/http"

	"bareroot/internal/serve/inventory"
)

// Handler serves /agent/v1/* and /images/*.
func Handler(s *inventory.Service, log *slog.Logger) http.Handler { return http.NotFoundHandler() }
