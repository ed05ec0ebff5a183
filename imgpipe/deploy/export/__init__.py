"""The same graph in other tools' languages: CloudFormation, Terraform, CI pipelines.

Nothing here calls a cloud: account, Region and partition stay the tool's own variables. What is exported comes from
the very resources that `up` makes, so that both make the same.
"""
