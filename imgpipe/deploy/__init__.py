"""From `pipeline.yaml` to a live pipeline: Spec -> Graph -> Plan -> apply."""
