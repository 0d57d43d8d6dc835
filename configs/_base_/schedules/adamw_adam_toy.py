# As adamw_toy.py, for a student and a discriminator.
optimizer = dict(
    student=dict(type='AdamW', lr=3e-4, betas=(0.9, 0.999), weight_decay=0.01),
    discriminator=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99)))
optimizer_config = None
