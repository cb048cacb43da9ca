-- SPDX-License-Identifier: GPL-3.0-or-later
-- What load balancers ask of a node: while it leaves, the answer is 403, and they send nobody new here. Nothing else
-- changes: whoever is here is served, and so are people and probes that come to the node itself.
local mark = "/var/lib/pacs-leaves"

function IncomingHttpRequestFilter(method, uri, ip, username, httpHeaders)
  if uri ~= "/tools/now" then
    return true
  end
  local file = io.open(mark)
  if file then
    file:close()
  end
  return file == nil
end
