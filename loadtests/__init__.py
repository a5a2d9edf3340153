"""Programs that load and judge the gateway from outside; nothing here imports `app`."""
