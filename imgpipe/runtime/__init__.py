"""What runs inside Lambda (or a worker): events -> jobs -> the image core -> results -> the table.

Standard library, boto3 and image libraries only. It imports nothing of the rest of imgpipe, which
may all import it.
"""
