/* SPDX-License-Identifier: MIT */
/* container_create: what it makes of a configuration, and what it refuses. */
#include "container.h"

static void what_is_asked_for_is_there(void)
{
	container_config_t c =
		a_container("create.all",
			    "sh -c 'echo \"$A|$B|$PWD|two  words\"; exec sleep 1000'");
	container_status_t s;
	int id;

	strcpy(c.working_dir, "/tmp");
	c.env[0] = "A=one";
	c.env[1] = "B=t w o";
	c.env[2] = NULL;
	c.env[3] = (char *) 1; /* behind the first NULL nothing is read */
	c.cpu_limit = 0;
	id = keep_id(RAW(container_create, WORD(&c)));
	check(id > 0, "a container is created");
	check_number(others_see_state(id), CONTAINER_CREATED, "others see it");
	check_number(RAW(container_start, WORD(id)), 0, "it is started");
	check(says(id, "one|t w o|/tmp|two  words"),
	      "command, environment and folder are what was asked for");
	s = status_of(id);
	check(strcmp(s.image, guest_root) == 0 && s.id == id && s.created > 0,
	      "its status says what it is made of");
	check_refused(RAW(container_create, WORD(&c)), CLOUDOS_EEXIST,
		      "its name is taken");
	memset(c.name, 0, sizeof(c.name));
	id = keep_id(RAW(container_create, WORD(&c)));
	check(id > 0, "without a name one is chosen");
	check(keep_id(cloudos_container_create(&(container_config_t){
		      .image = "", .name = "x" })) == CLOUDOS_EINVAL,
	      "libcloudos says what is wrong");
}

static void limits(void)
{
	container_config_t c = a_container("create.limits", "sleep 1000");
	long id;

	c.memory_limit = 64;
	c.cpu_limit = 50;
	id = RAW(container_create, WORD(&c));
	if (id == RAW_CODE(CLOUDOS_EACCES)) {
		printf("# limits cannot be enforced here: %s\n", last_error().message);
		return;
	}
	check(keep_id(id) > 0, "limits are MiB and percent");
	check_number((long) status_of((int) id).memory_limit, 64L << 20, "64 MiB");
	check_number(status_of((int) id).cpu_limit, 50, "half a CPU");
}

static void refused_text(size_t offset, size_t size, const char *what)
{
	container_config_t c = a_container("create.text", "sleep 1000");

	memset((char *) &c + offset, 'a', size);
	check_refused(RAW(container_create, WORD(&c)), CLOUDOS_EINVAL, what);
}

static void what_is_refused(void)
{
	container_config_t c;

	refused_text(offsetof(container_config_t, name), 256, "a name without an end");
	refused_text(offsetof(container_config_t, image), 512,
		     "an image without an end");
	refused_text(offsetof(container_config_t, command), 1024,
		     "a command without an end");
	refused_text(offsetof(container_config_t, working_dir), 256,
		     "a folder without an end");
	refused_text(offsetof(container_config_t, network_mode), 32,
		     "a network without an end");
	c = a_container("-x", "sleep 1000");
	check_refused(RAW(container_create, WORD(&c)), CLOUDOS_EINVAL, "a bad name");
	c = a_container("create.bad", "sleep 'x");
	check_refused(RAW(container_create, WORD(&c)), CLOUDOS_EINVAL,
		      "a quote that is not closed");
	c = a_container("create.bad", "sleep 1000");
	strcpy(c.network_mode, "lan");
	check_refused(RAW(container_create, WORD(&c)), CLOUDOS_EINVAL,
		      "a network that there is not");
	c = a_container("create.bad", "sleep 1000");
	c.env[0] = "A";
	check_refused(RAW(container_create, WORD(&c)), CLOUDOS_EINVAL,
		      "an environment without =");
	c = a_container("create.bad", "sleep 1000");
	memset(c.image, 0, sizeof(c.image));
	check_refused(RAW(container_create, WORD(&c)), CLOUDOS_EINVAL, "no image");
	strcpy(c.image, "there-is-no-such-image");
	check_refused(RAW(container_create, WORD(&c)), CLOUDOS_ENOENT,
		      "an image that there is not");
}

static void bad_pointers(void)
{
	container_config_t c = a_container("create.pointer", "sleep 1000");

	check_refused(RAW(container_create, 0), CLOUDOS_EFAULT, "NULL is refused");
	check_refused(RAW(container_create, WORD(unmapped())), CLOUDOS_EFAULT,
		      "as is what is not mapped");
	c.env[0] = unmapped();
	check_refused(RAW(container_create, WORD(&c)), CLOUDOS_EFAULT,
		      "a string of env that is not mapped");
	c.env[0] = "A=b";
	c.env[1] = unterminated(100);
	check_refused(RAW(container_create, WORD(&c)), CLOUDOS_EFAULT,
		      "one that ends with its mapping");
	c.env[1] = unterminated(4096);
	check_refused(RAW(container_create, WORD(&c)), CLOUDOS_EFBIG,
		      "one of more than 4095 bytes");
	c.env[1] = end_of_mapping() - 4;
	memcpy(c.env[1], "A=b", 4);
	check(keep_id(RAW(container_create, WORD(&c))) > 0,
	      "one that just fits into its mapping is good");
}

static long by_stranger(void)
{
	container_config_t c = a_container("create.stranger", "sleep 1000");

	return RAW(container_create, WORD(&c));
}

int main(void)
{
	(void) make("create.first", "sleep 1000");
	what_is_asked_for_is_there();
	limits();
	what_is_refused();
	bad_pointers();
	refuses_strangers(by_stranger);
	if (geteuid() != 0) {
		container_config_t c = a_container("create.privileged", "sleep 1000");

		c.privileged = true;
		check_refused(RAW(container_create, WORD(&c)), CLOUDOS_EACCES,
			      "only root makes privileged ones");
	}
	return done_containers();
}
